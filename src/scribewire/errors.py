"""The whole error tree: every way the service says no, with its code, sentence and what the wire does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class ScribewireError(Exception):
    """Anything that Scribewire reports to its user in one sentence.

    Leaves set the class attributes; an instance carries the sentence (the class's own unless one is given).
    `close_code` is the WebSocket close code, or None when the socket stays open (RFC 6455 section 7.4).
    """

    code: ClassVar[str] = "internal_error"
    sentence: ClassVar[str] = "Something went wrong inside the service"
    http_status: ClassVar[int] = 500
    close_code: ClassVar[int | None] = 1011
    retryable: ClassVar[bool] = False

    def __init__(self, sentence: str | None = None, *, retry_after_s: int | None = None) -> None:
        super().__init__(sentence or self.sentence)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


# --- who may do what -------------------------------------------------------------------------------------------------


class NotAuthenticated(ScribewireError):
    """No credential, or one that is unknown, revoked or expired (which of them is never said)."""

    code = "not_authenticated"
    sentence = "Not authenticated"
    http_status = 401
    close_code = 1008


class NotPermitted(ScribewireError):
    """A valid key without the scope that the call needs."""

    code = "not_permitted"
    sentence = "Not enough permissions"
    http_status = 403
    close_code = 1008


class RateLimited(ScribewireError):
    """Too many calls from one key or one address."""

    code = "rate_limited"
    sentence = "Rate limit exceeded"
    http_status = 429
    close_code = 1013
    retryable = True


# --- capacity --------------------------------------------------------------------------------------------------------


class ScaledDown(ScribewireError):
    """Zero workers are wanted: somebody must call initialize."""

    code = "scaled_down"
    sentence = "Realtime service is scaled down. Call /initialize to start it."
    http_status = 503
    close_code = 1013
    retryable = True


class AtCapacity(ScribewireError):
    """No slot became free within the bounded wait, or the server is full."""

    code = "at_capacity"
    sentence = "All recognisers are busy. Try again shortly."
    http_status = 429
    close_code = 1013
    retryable = True


class SessionLimit(ScribewireError):
    """The key already has as many live sessions as it may."""

    code = "session_limit"
    sentence = "This key has reached its limit of concurrent sessions."
    http_status = 429
    close_code = 1013
    retryable = True


class ServiceStopping(ScribewireError):
    """The service is shutting down and takes no new sessions."""

    code = "service_stopping"
    sentence = "The service is stopping. Reconnect shortly."
    http_status = 503
    close_code = 1001
    retryable = True


class InitializeFailed(ScribewireError):
    """The scaler itself failed: its platform refused, or a worker could not be spawned."""

    code = "initialize_failed"
    sentence = "Failed to initialize realtime service: unknown"
    http_status = 500

    def __init__(self, details: str) -> None:
        super().__init__(f"Failed to initialize realtime service: {details}")
        self.details = details


class NeverReady(ScribewireError):
    """Workers were started, but none became ready within the bound."""

    code = "never_ready"
    sentence = "Realtime service failed to start"
    http_status = 503
    retryable = True


# --- what a client sent ----------------------------------------------------------------------------------------------


class BadRequest(ScribewireError):
    """An upgrade whose parameters are not those of its dialect."""

    code = "bad_request"
    sentence = "The request could not be understood."
    http_status = 400
    close_code = 1008


class BadMessage(ScribewireError):
    """A message that is not JSON, not an object, of an unknown action or with wrong types: the session goes on."""

    code = "bad_message"
    sentence = "The message could not be understood."
    http_status = 422
    close_code = None


class TooManyBadMessages(ScribewireError):
    """The last straw after many bad messages."""

    code = "bad_message"
    sentence = "Too many messages could not be understood."
    http_status = 422
    close_code = 1008


class StartTimeout(ScribewireError):
    """No start message within the bound."""

    code = "start_timeout"
    sentence = "No start message arrived in time."
    http_status = 408
    close_code = 1008


class UnknownLanguage(ScribewireError):
    """No engine is configured for the language asked for."""

    code = "unknown_language"
    sentence = "This language is not configured."
    http_status = 422
    close_code = 1008


class UnknownType(ScribewireError):
    """Neither `fast` nor `quality`."""

    code = "unknown_type"
    sentence = "Unknown recognition type: use fast or quality."
    http_status = 422
    close_code = 1008


class UnsupportedAudio(ScribewireError):
    """Audio in a format that would decode to noise."""

    code = "unsupported_audio"
    sentence = "Audio must be 16-bit little-endian PCM, 16 kHz, mono."
    http_status = 415
    close_code = 1003


class SlowReader(ScribewireError):
    """The client stopped reading, and what is waiting for it passed the bound."""

    code = "slow_reader"
    sentence = "Messages were not read in time."
    http_status = 408
    close_code = 1008


class NotAvailable(ScribewireError):
    """A part of the contract that is switched off, or that this release does not carry."""

    code = "not_available"
    sentence = "Fetching media by URL is off here. Stream the audio to /v2/realtime instead."
    http_status = 501
    close_code = 1008


class FetchRefused(ScribewireError):
    """A URL, or what it leads to, that the service may not fetch."""

    code = "fetch_refused"
    sentence = "This URL may not be fetched."
    http_status = 403
    close_code = 1008


class FetchFailed(ScribewireError):
    """Media that could not be fetched, to its end or at all: not there, broken off, too slow, too large."""

    code = "fetch_failed"
    sentence = "The source could not be fetched."
    http_status = 502
    close_code = 1011
    retryable = True


class NotFound(ScribewireError):
    """The thing named in the path does not exist, or is not yours."""

    code = "not_found"
    sentence = "Not found"
    http_status = 404
    close_code = None


# --- inside ----------------------------------------------------------------------------------------------------------


class EngineFailed(ScribewireError):
    """The recogniser was lost and could not be replaced in time."""

    code = "engine_failed"
    sentence = "The recogniser was lost and could not be replaced in time."
    http_status = 503
    close_code = 1011
    retryable = True


class LinkBroken(ScribewireError):
    """A worker spoke out of turn, out of bounds, or in another version of the link."""

    code = "link_broken"
    sentence = "The connection to a worker broke."


class StoreFailed(ScribewireError):
    """The store cannot be opened, or its schema is newer than this program."""

    code = "store_failed"
    sentence = "The store could not be opened."


class BadSettings(ScribewireError):
    """A setting is unknown, of the wrong type or out of bounds."""

    code = "bad_settings"
    sentence = "A setting is not valid."


class EngineMissing(ScribewireError):
    """An engine, a model or an optional library that is asked for is not installed."""

    code = "engine_missing"
    sentence = "An engine that is asked for is not installed."


class ModelBroken(ScribewireError):
    """A model could not be pulled or imported, or is not as its manifest says."""

    code = "model_broken"
    sentence = "A model could not be had, or is damaged."


class ExtraMissing(ScribewireError):
    """A command needs an extra that is not installed."""

    code = "extra_missing"
    sentence = "This command needs an extra that is not installed."

    def __init__(self, command: str, extra: str) -> None:
        super().__init__(f"{command} needs more than the base install: pip install 'scribewire[{extra}]'")


# --- on the client's side --------------------------------------------------------------------------------------------


class Unreachable(ScribewireError):
    """Nothing answers at the service's address."""

    code = "unreachable"
    sentence = "The service does not answer."
    retryable = True


class Disconnected(ScribewireError):
    """The socket closed before the session was over."""

    code = "disconnected"
    sentence = "The connection closed before the end of the session."
    retryable = True


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row of the errors table in the docs."""

    code: str
    sentence: str
    http_status: int
    close_code: int | None
    retryable: bool


def leaves() -> list[type[ScribewireError]]:
    """Give every error class, in the order of this file."""
    return list(ScribewireError.__subclasses__())


def table() -> list[ErrorRow]:
    """Give the rows that docs and tests derive from."""
    return [ErrorRow(e.code, e.sentence, e.http_status, e.close_code, e.retryable) for e in leaves()]
