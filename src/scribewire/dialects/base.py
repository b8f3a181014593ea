"""The dialect contract: what arrives on a socket in, core events out; core messages in, what is sent out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Final

import msgspec

from scribewire.core import events as ev
from scribewire.core.audio import AudioFormat
from scribewire.errors import ScribewireError

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Request:
    """The upgrade: when it came, its headers by lower-case names, and its query, where a name may stand twice."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    pairs: Sequence[tuple[str, str]] = field(default=(), repr=False)
    at: datetime = _EPOCH

    def all(self, name: str) -> list[str]:
        """Give every value that the query has for a name, in order."""
        return [value for key, value in self.pairs if key == name]


@dataclass(frozen=True, slots=True)
class Identity:
    """A credential that stands where only this dialect has one, and the subprotocol that is to be answered to it."""

    credential: str | None = field(default=None, repr=False)
    subprotocol: str | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Audio in the format that `Dialect.audio` says; what it holds becomes `AudioReceived`."""

    chunk: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A text frame that only the dialect knows of, to be sent after what was said so far."""

    text: str = field(repr=False)


class Dialect(ABC):
    """How one session is spelled on the wire."""

    # Whether a credential may still come after the upgrade, in the event `Started`.
    keyed_later: ClassVar[bool] = True

    def __init__(self, session_id: str, request: Request = Request()) -> None:
        self.session_id = session_id
        self.request = request

    @classmethod
    def identify(cls, request: Request) -> Identity:
        """Give the credential that stands where no other dialect looks for one."""
        return Identity()

    @property
    def language(self) -> str | None:
        """Give the language that is asked for; known by the time that `Started` is given."""
        return self.request.query.get("language")

    @property
    def type(self) -> str | None:
        """Give the type that is asked for, `fast` or `quality`."""
        return self.request.query.get("type")

    @property
    def audio(self) -> AudioFormat:
        """Give the format of the audio to come."""
        return AudioFormat()

    @property
    def headers(self) -> Mapping[str, str]:
        """Give the headers of the answer to the upgrade, whether it is taken or refused."""
        return {}

    def check(self) -> None:  # noqa: B027 - most have nothing to refuse
        """Look at the request as a whole, once its credential holds.

        Raises the ScribewireError with which the upgrade is to be refused.
        """

    def begin(self) -> Sequence[ev.Event | Answer]:
        """Give what the upgrade says by itself."""
        return ()

    @abstractmethod
    def hear(self, frame: str | bytes) -> Sequence[ev.Event | Encoded | Answer]:
        """Read one frame; never raises."""

    @abstractmethod
    def say(self, message: ev.Message) -> Sequence[str]:
        """Spell one message, as no text frame, one or some."""

    def spread(self, channels: int) -> None:  # noqa: B027 - most have one
        """Be told of how many channels the audio is, each with a session of its own; where `audio` keeps them apart."""

    def say_of(self, channel: int, message: ev.Message) -> Sequence[str]:
        """Spell one message of the session of a channel, counted from 0; only one has several."""
        return self.say(message)

    def refuse(self, error: ScribewireError) -> bytes:
        """Give the JSON body with which an upgrade is refused."""
        return msgspec.json.encode({"detail": str(error)})

    def close_code(self, code: int) -> int:
        """Give the code to close with where the machine says `code`."""
        return code

    @property
    def close_reason(self) -> str:
        """Give what to say beside the code: at most 123 bytes (RFC 6455 section 5.5)."""
        return ""
