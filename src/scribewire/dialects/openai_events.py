"""OpenAI events: what a client may send in a transcription session, and what is wrong with anything else."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from scribewire.core import events as ev
from scribewire.dialects.openai_session import SessionUpdate

# Where msgspec ends its sentence with the place that it is about.
_PLACE: Final = re.compile(r"`\$\.([^`]+)`$")


class ClientEvent(Struct, tag_field="type"):
    """Any of them."""

    event_id: str | None = None


class Append(ClientEvent, tag="input_audio_buffer.append", kw_only=True):
    """Audio, in base64."""

    audio: bytes


class Commit(ClientEvent, tag="input_audio_buffer.commit"):
    """The turn is over."""


class Clear(ClientEvent, tag="input_audio_buffer.clear"):
    """The turn is not to be."""


class Update(ClientEvent, tag="session.update", kw_only=True):
    """A new configuration, in either shape."""

    session: SessionUpdate


class BetaUpdate(ClientEvent, tag="transcription_session.update", kw_only=True):
    """The same by its earlier name."""

    session: SessionUpdate


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an error event says of the event that caused it."""

    code: str
    param: str | None = None
    event_id: str | None = None


Understood = Append | Commit | Clear | Update | BetaUpdate
_decode: Final = msgspec.json.Decoder(Understood).decode
_decode_any: Final = msgspec.json.Decoder().decode


def read_event(frame: str | bytes) -> Understood | ev.Misspoke:
    """Read one frame. What cannot be understood is `Misspoke`, about a `Complaint`."""
    try:
        event: Understood = _decode(frame)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        return ev.Misspoke(f"{error}.", Complaint("invalid_value", place and place[1], _event_id_of(frame)))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ev.Misspoke("The event is not JSON.", Complaint("invalid_json"))
    return event


def _event_id_of(frame: str | bytes) -> str | None:
    event = None
    # It was read as far as its first fault; another may lie behind.
    with suppress(msgspec.DecodeError, ValueError, RecursionError):
        event = _decode_any(frame)
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) else None
