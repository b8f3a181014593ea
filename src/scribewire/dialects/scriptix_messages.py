"""The messages of Scriptix, v2 and v1, as they stand on the wire. What is encoded and what is documented is this."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from scribewire.dialects.vocabulary import MAX_PHRASE_CHARACTERS, MAX_PHRASES

MAX_ID_CHARACTERS = 256

Ms: TypeAlias = Annotated[int, Meta(ge=0, description="Milliseconds from the start of the session's audio.")]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Phrase: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_PHRASE_CHARACTERS)]
Phrases: TypeAlias = Annotated[list[Phrase], Meta(max_length=MAX_PHRASES)]
FlushId: TypeAlias = Annotated[str, Meta(max_length=MAX_ID_CHARACTERS)] | int | None


class Said(msgspec.Struct, frozen=True):
    """A message. Its docstring is its documentation."""


# --- from the client -------------------------------------------------------------------------------------------------


class Start(Said, frozen=True, kw_only=True):
    """Begin. Unknown options are ignored."""

    action: Literal["start"]
    key: Annotated[str | None, Meta(description="A key or a ticket, where the upgrade carried none.")] = None
    partial: Annotated[bool | None, Meta(description="Whether to send partials; null is true.")] = None
    actual_numbers: Annotated[bool | None, Meta(description="Digits in place of number words; null is false.")] = None
    vocabulary: Annotated[Phrases | None, Meta(description="Words and phrases to expect.")] = None


class Stop(Said, frozen=True, kw_only=True):
    """Decode what is buffered, send the remaining finals, then `stopped`."""

    action: Literal["stop"]


class Flush(Said, frozen=True, kw_only=True):
    """Give the finals of all audio sent so far, and stay open; answered by `flushed`."""

    action: Literal["flush"]
    id: Annotated[FlushId, Meta(description="Comes back with the answer.")] = None


# --- from the server -------------------------------------------------------------------------------------------------


class Listening(Said, frozen=True, kw_only=True):
    """The answer to `start`, once a stream is open. Nothing but a terminal error precedes it."""

    state: Literal["listening"] = "listening"
    session_id: str


class Stopped(Said, frozen=True, kw_only=True):
    """All audio is handled. The last message, once; the server closes after it."""

    state: Literal["stopped"] = "stopped"


class ShuttingDown(Said, frozen=True, kw_only=True):
    """The service will stop; the session goes on until then."""

    state: Literal["shutting_down"] = "shutting_down"
    at: Annotated[int, Meta(description="Unix time in seconds.")]


class Loading(Said, frozen=True, kw_only=True):
    """The source is being fetched. Only where the service fetches, before `listening`."""

    state: Literal["loading"] = "loading"


class Flushed(Said, frozen=True, kw_only=True):
    """A flush is answered: the finals that it caused came before."""

    flushed: FlushId


class Error(Said, frozen=True, kw_only=True):
    """What is wrong, in one sentence. `code` says which error it is; close codes say which are terminal."""

    error: str
    code: str
    retry_after: Annotated[int, Meta(description="Seconds after which to try again.")] | UnsetType = UNSET


class Word(msgspec.Struct, frozen=True, array_like=True):
    """A word, when it was said, and how sure that is."""

    text: str
    start_ms: Ms
    end_ms: Ms
    confidence: Share


class Partial(Said, frozen=True, kw_only=True):
    """The open segment so far; it replaces the partial before it."""

    text: str
    is_final: Literal[False] = False
    offset_ms: Ms
    stability: Annotated[float, Meta(ge=0, le=1, description="The share of it that is expected to stay.")]


class Final(Said, frozen=True, kw_only=True):
    """A whole segment, which will not change."""

    text: str
    is_final: Literal[True] = True
    offset_ms: Ms
    words: tuple[Word, ...]
    speaker: str | UnsetType = UNSET


class PartialV1(Said, frozen=True, kw_only=True):
    """The open segment so far, as v1 spells it."""

    partial: str


class FinalV1(Said, frozen=True, kw_only=True):
    """A whole segment, as v1 spells it."""

    result: tuple[Word, ...]
    speaker: str
    text: str


# --- to those who read along -----------------------------------------------------------------------------------------


class Watching(Said, frozen=True, kw_only=True):
    """The first message: whether a session is shown. The finals so far follow."""

    state: Literal["watching"] = "watching"
    live: bool


class Speaking(Said, frozen=True, kw_only=True):
    """A session is shown from here on."""

    state: Literal["speaking"] = "speaking"


class Paused(Said, frozen=True, kw_only=True):
    """The session ended; another may follow."""

    state: Literal["paused"] = "paused"
