"""What a client understands of the wire, without I/O: answers and messages in, typed values or errors out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from scribewire.errors import InitializeFailed, ScribewireError, leaves


class Status(msgspec.Struct, frozen=True):
    """What the control plane says of the service. `status` is ready, starting or scaled_down."""

    status: str
    message: str
    endpoint: str
    ready: bool


class Word(msgspec.Struct, frozen=True, array_like=True):
    """One word of a final; times count from the start of the session's audio."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


class Partial(msgspec.Struct, frozen=True):
    """The open segment so far; it replaces the partial before it."""

    text: str
    is_final: Literal[False]
    offset_ms: int
    stability: float = 0.0


class Final(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole segment, which will not change."""

    text: str
    is_final: Literal[True]
    offset_ms: int
    words: tuple[Word, ...]
    speaker: str | None = None


class Flushed(msgspec.Struct, frozen=True):
    """Every final of the audio sent before the flush has been given."""

    flushed: str | int | None


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the session stands: listening, stopped, or shutting_down at a wall-clock time in Unix seconds."""

    state: str
    session_id: str | None = None
    at: int | None = None


class Reconnected(msgspec.Struct, frozen=True):
    """The session goes on over another socket: after `attempts` tries and `gap_s` seconds without the service.

    The last `replayed_s` seconds of audio that had been sent are sent again.
    """

    attempts: int
    gap_s: float
    replayed_s: float
    session_id: str


class AudioLost(msgspec.Struct, frozen=True):
    """A span of the session's audio that was not kept until the service had heard it; `silent` if it was quiet."""

    start_ms: int
    end_ms: int
    silent: bool


Message = Partial | Final | Flushed | State
Event = Partial | Final | Flushed | State | Reconnected | AudioLost

_ERRORS: dict[str, type[ScribewireError]] = {leaf.code: leaf for leaf in reversed(leaves())}
_BY_STATUS = {
    401: "not_authenticated",
    403: "not_permitted",
    404: "not_found",
    429: "rate_limited",
    # Said by what stands before the service while that is not there.
    502: "unreachable",
    503: "unreachable",
    504: "unreachable",
}


def parse(text: str | bytes) -> Message:
    """Read one message of the server.

    Raises the error that the message carries, or ScribewireError when it is none that a client knows.
    """
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
        if "error" in said:
            raise error_of(str(said["error"]), code=str(said.get("code", "")), retry_after_s=said.get("retry_after"))
        return msgspec.convert(said, _kind(said))
    except msgspec.MsgspecError as error:
        raise ScribewireError("The server sent a message that this client does not understand.") from error


def _kind(said: Mapping[str, Any]) -> type[Message]:
    if "state" in said:
        return State
    if "flushed" in said:
        return Flushed
    return Final if said.get("is_final") else Partial


def error_of(sentence: str, *, code: str = "", status: int = 0, retry_after_s: int | None = None) -> ScribewireError:
    """Give the error that the server meant, by its code or else by its sentence or HTTP status."""
    if sentence.startswith(prefix := InitializeFailed.sentence.removesuffix("unknown")):
        return InitializeFailed(sentence.removeprefix(prefix))
    by_sentence = next((leaf.code for leaf in leaves() if leaf.sentence == sentence), "")
    leaf = _ERRORS.get(code or by_sentence or _BY_STATUS.get(status, ""), ScribewireError)
    return leaf(sentence, retry_after_s=retry_after_s)


def error_of_answer(status: int, body: bytes, retry_after: str | None = None) -> ScribewireError:
    """Give the error of an HTTP answer that is not a success."""
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        said = None
    detail = said.get("detail") if isinstance(said, dict) else None
    if isinstance(detail, list):  # FastAPI's validation errors
        detail = "; ".join(str(row.get("msg")) for row in detail if isinstance(row, dict))
    sentence = str(detail) if detail else f"The server answered with HTTP status {status}."
    return error_of(
        sentence, status=status, retry_after_s=int(retry_after) if retry_after and retry_after.isdigit() else None
    )
