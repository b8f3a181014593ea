"""Vosk: the protocol of vosk-server's WebSocket, in which every frame of audio is answered by one message.

Its clients send a frame, then wait for the answer to it; a message more or less would put them out of step for good.
So nothing is sent but in answer to a frame: the finals that came meanwhile, as one result, else the newest partial.
What is still to come at the end is the one answer to `eof`. There is no message for an error: the close says it.
Source: github.com/alphacep/vosk-server, websocket/asr_server.py.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from scribewire.core import events as ev
from scribewire.core.audio import SAMPLE_RATE_HZ, AudioFormat
from scribewire.dialects.base import Answer, Dialect, Encoded, Identity, Request
from scribewire.dialects.vocabulary import fit_vocabulary
from scribewire.errors import BadMessage, BadRequest

# The server's own default, which telephony counts on: its modules never say a rate.
_DEFAULT_RATE_HZ: Final = 8_000
_NO_RATE: Final = "The sample_rate is not a number."
# Stands in a grammar for all words outside it.
_UNKNOWN: Final = "[unk]"
_MAX_REASON_BYTES: Final = 123  # RFC 6455 section 5.5
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class Vosk(Dialect):
    """One socket of a client of vosk-server."""

    keyed_later = False

    def __init__(self, session_id: str, request: Request) -> None:
        super().__init__(session_id, request)
        self._rate_hz = _read_rate(request.query.get("sample_rate"), _DEFAULT_RATE_HZ)
        self._vocabulary: tuple[str, ...] = ()
        self._words = True
        self._alternatives = False
        self._started = False
        self._ended = False
        self._partial, self._partial_sample = "", 0
        self._heard: list[ev.Word] = []  # of finals that wait for a frame to answer
        self._reason = ""

    @classmethod
    def identify(cls, request: Request) -> Identity:
        """Take the password of `ws://user:password@host`, which is all that some clients let be configured."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return Identity()
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:  # also what is beyond ASCII, as a header may be
            return Identity()
        return Identity(password or user or None)

    @property
    def audio(self) -> AudioFormat:
        return AudioFormat(sample_rate_hz=self._rate_hz)

    @property
    def close_reason(self) -> str:
        return self._reason

    def check(self) -> None:
        if not self._rate_hz:
            raise BadRequest(_NO_RATE)

    # --- in ----------------------------------------------------------------------------------------------------------

    def hear(self, frame: str | bytes) -> Sequence[ev.Event | Encoded | Answer]:
        if self._ended:
            return ()
        return self._hear_audio(frame) if isinstance(frame, bytes) else self._hear_text(frame)

    def _hear_audio(self, chunk: bytes) -> Sequence[ev.Event | Encoded | Answer]:
        heard = (Encoded(chunk), Answer(self._answer()))
        if self._started:
            return heard
        self._started = True
        return ev.Started(ev.StartOptions(vocabulary=self._vocabulary, quiet=True)), *heard

    def _hear_text(self, text: str) -> Sequence[ev.Event]:
        try:
            message = _decode(text)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._break("The message is not JSON.")
        match message:
            case {"eof": _}:
                self._ended = True
                return (ev.Stopped(),)
            case {"config": dict(config)}:
                return self._configure(config)
            case _:
                return self._break("The message is neither a config nor an eof.")

    def _configure(self, config: Mapping[str, Any]) -> Sequence[ev.Event]:
        if self._started:
            return ()  # what the server does: its recogniser is made by then
        phrases = config.get("phrase_list") or []
        if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
            return self._break("The phrase_list is not a list of words and phrases.")
        rate_hz = _read_rate(config.get("sample_rate"), self._rate_hz)
        if not rate_hz:
            return self._break(_NO_RATE)
        self._rate_hz = rate_hz
        self._vocabulary = fit_vocabulary(phrase for phrase in phrases if phrase != _UNKNOWN)
        self._words = bool(config.get("words", self._words))
        self._alternatives = bool(config.get("max_alternatives", self._alternatives))
        return ()

    def _break(self, sentence: str) -> Sequence[ev.Event]:
        """End the session, as the server does: its clients know no message for an error."""
        self._ended = True
        return (ev.Denied(BadMessage(sentence)),)

    # --- out ---------------------------------------------------------------------------------------------------------

    def say(self, message: ev.Message) -> Sequence[str]:
        match message:
            case ev.Partial():
                self._partial, self._partial_sample = message.text, message.sample
            case ev.Final():
                self._partial = ""
                self._heard += message.words
            case ev.Quiet() if message.sample >= self._partial_sample:
                self._partial = ""  # a segment that ended without a word
            case ev.StoppedSaid():
                return (self._take_result(),)
            case ev.Failed():
                self._reason = str(message.error).encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
        return ()

    def _answer(self) -> str:
        return self._take_result() if self._heard else _to_text({"partial": self._partial})

    def _take_result(self) -> str:
        words, self._heard = self._heard, []
        text = " ".join(word.text for word in words)
        if self._alternatives:
            return _to_text({"alternatives": [_spell_alternative(words, text)]})
        spelled: dict[str, object] = {}
        if self._words and words:
            spelled["result"] = [{"conf": round(word.confidence, 6), **_spell_word(word)} for word in words]
        return _to_text(spelled | {"text": text})


def _spell_alternative(words: Sequence[ev.Word], text: str) -> dict[str, object]:
    """Spell the one alternative that there is; its confidence is the mean of its words'."""
    confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
    return {"confidence": round(confidence, 6), "result": [_spell_word(word) for word in words], "text": text}


def _spell_word(word: ev.Word) -> dict[str, object]:
    return {
        "end": round(word.end_sample / SAMPLE_RATE_HZ, 3),
        "start": round(word.start_sample / SAMPLE_RATE_HZ, 3),
        "word": word.text,
    }


def _read_rate(given: object, default: int) -> int:
    """Give a rate in Hz, which clients say as 8000, 8000.0 or in quotes; 0 when it is none."""
    if given is None:
        return default
    try:
        return round(float(given)) if isinstance(given, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0


def _to_text(message: object) -> str:
    return _encode(message).decode()
