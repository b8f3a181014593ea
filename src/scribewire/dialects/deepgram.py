"""Deepgram: the dialect of its streaming endpoint, `GET /v1/listen`.

Source: developers.deepgram.com, "Live Audio" reference, and the messages that its client libraries declare. A session
begins with the upgrade, and all that is asked for stands in its query.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from scribewire import errors
from scribewire.core import events as ev
from scribewire.core.audio import AudioFormat
from scribewire.dialects.base import Answer, Dialect, Encoded, Identity, Request
from scribewire.dialects.deepgram_channel import Channel, s_of, to_text
from scribewire.dialects.deepgram_options import Options, read_options

# The words that the vendor has for these.
_REFUSALS: Final[Mapping[type[errors.ScribewireError], tuple[str, str]]] = {
    errors.NotAuthenticated: ("INVALID_AUTH", "Invalid credentials."),
    errors.NotPermitted: ("INSUFFICIENT_PERMISSIONS", "User does not have sufficient permissions."),
}
_TOO_MANY: Final = ("TOO_MANY_REQUESTS", "Too many requests. Please try again later")
# Audio that cannot be decoded, as the vendor closes.
_CLOSE_CODES: Final[Mapping[int, int]] = {1003: 1008}
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class Deepgram(Dialect):
    """One live stream."""

    keyed_later: ClassVar[bool] = False

    def __init__(self, session_id: str, request: Request) -> None:
        super().__init__(session_id, request)
        self._options = Options()
        self._sha256 = hashlib.sha256()
        self._channels: list[Channel] = []
        self._ended_samples: list[int] = []  # of each channel that has ended
        self.spread(1)

    # --- the upgrade -------------------------------------------------------------------------------------------------

    @classmethod
    def identify(cls, request: Request) -> Identity:
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "token" and credential.strip():
            return Identity(credential.strip())
        scheme, _, credential = request.headers.get("sec-websocket-protocol", "").partition(",")
        if scheme.strip().lower() in ("token", "bearer") and credential.strip():
            return Identity(credential.strip(), scheme.strip())
        return Identity()

    @property
    def language(self) -> str | None:
        return self._options.language

    @property
    def type(self) -> str | None:
        return self._options.type

    @property
    def audio(self) -> AudioFormat:
        return self._options.audio

    @property
    def headers(self) -> Mapping[str, str]:
        return {"dg-request-id": self.session_id}

    def check(self) -> None:
        self._options = read_options(self.request)
        self._channels.clear()
        self.spread(1)

    def begin(self) -> Sequence[ev.Event]:
        options = self._options
        return (
            ev.Started(
                ev.StartOptions(
                    partial=options.interim or options.speech_events,
                    actual_numbers=options.digits,
                    vocabulary=options.vocabulary,
                    quiet=options.speech_events or options.utterance_end_samples is not None,
                )
            ),
        )

    def refuse(self, error: errors.ScribewireError) -> bytes:
        code, sentence = _REFUSALS.get(type(error)) or (error.code.upper(), str(error))
        if isinstance(error, errors.BadRequest):
            code, sentence = "Bad Request", f"Bad Request: {error}"
        elif error.http_status == 429:
            code, sentence = _TOO_MANY
        return _encode({"err_code": code, "err_msg": sentence, "request_id": self.session_id})

    def close_code(self, code: int) -> int:
        return _CLOSE_CODES.get(code, code)

    # --- what is heard -----------------------------------------------------------------------------------------------

    def hear(self, frame: str | bytes) -> Sequence[ev.Event | Encoded | Answer]:
        if isinstance(frame, bytes):
            self._sha256.update(frame)
            # An empty frame was the way to end before there was CloseStream.
            return (Encoded(frame),) if frame else (ev.Stopped(),)
        try:
            message = _decode(frame)
        except (msgspec.DecodeError, ValueError, RecursionError):
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        match kind:
            case "KeepAlive":
                return (ev.AudioReceived(b""),)
            case "Finalize":
                for channel in self._channels:
                    channel.finalize()
                return (ev.FlushAsked(),)
            case "CloseStream":
                return (ev.Stopped(),)
            case "Configure":
                return (Answer(self._refuse_to_configure()),)
            case _:
                return (ev.Misspoke("The message is none of KeepAlive, Finalize and CloseStream.", frame),)

    def _refuse_to_configure(self) -> str:
        return to_text(
            {
                "type": "ConfigureFailure",
                "request_id": self.session_id,
                "code": "CONFIGURE_KEYTERMS_NOT_SUPPORTED",
                "description": "A stream cannot be configured once it has begun.",
            }
        )

    # --- what is said ------------------------------------------------------------------------------------------------

    def spread(self, channels: int) -> None:
        for index in range(len(self._channels), channels):
            self._channels.append(Channel(index, self._options, self.session_id))
        for channel in self._channels:
            channel.count = channels

    def say(self, message: ev.Message) -> Sequence[str]:
        return self.say_of(0, message)

    def say_of(self, channel: int, message: ev.Message) -> Sequence[str]:
        said = self._channels[channel].say(message)
        if not isinstance(message, ev.StoppedSaid):
            return said
        self._ended_samples.append(message.sample)
        return said if len(self._ended_samples) < len(self._channels) else (*said, self._spell_metadata())

    def _spell_metadata(self) -> str:
        return to_text(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self.session_id,
                "sha256": self._sha256.hexdigest(),
                "created": self.request.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "duration": s_of(max(self._ended_samples)),
                "channels": len(self._channels),
            }
        )
