"""Deepgram: the dialect of its streaming endpoint, `GET /v1/listen`.

Source: developers.deepgram.com, "Live Audio" reference, and the messages that its client libraries declare. A session
begins with the upgrade, and all that is asked for stands in its query.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec

from scribewire import __version__, errors
from scribewire.core import events as ev
from scribewire.core.audio import (
    MAX_CHANNELS,
    MAX_RATE_HZ,
    MIN_RATE_HZ,
    SAMPLE_RATE_HZ,
    AudioFormat,
    Encoding,
    samples_of_ms,
)
from scribewire.dialects.base import Answer, Dialect, Encoded, Identity, Request
from scribewire.dialects.vocabulary import fit_vocabulary

_ENCODINGS: Final[Mapping[str, Encoding]] = {
    "": "container",
    "linear16": "linear16",
    "mulaw": "mulaw",
    "alaw": "alaw",
    "flac": "flac",
    "opus": "opus",
    "ogg-opus": "container",
}
_CONTAINER: Final = AudioFormat("container")
_OPUS_RATE_HZ: Final = 48_000
# What would be answered as if it had been done, and is a promise to somebody.
_REFUSED: Final = ("callback", "redact")
_MAX_WAIT_MS: Final = 600_000
# The words that the vendor has for these.
_REFUSALS: Final[Mapping[type[errors.ScribewireError], tuple[str, str]]] = {
    errors.NotAuthenticated: ("INVALID_AUTH", "Invalid credentials."),
    errors.NotPermitted: ("INSUFFICIENT_PERMISSIONS", "User does not have sufficient permissions."),
}
_TOO_MANY: Final = ("TOO_MANY_REQUESTS", "Too many requests. Please try again later")
# Audio that cannot be decoded, as the vendor closes.
_CLOSE_CODES: Final[Mapping[int, int]] = {1003: 1008}
_CHANNEL: Final = (0, 1)  # the first of one
_NO_MODEL: Final = "00000000-0000-0000-0000-000000000000"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class _Options:
    """What the query asks for."""

    audio: AudioFormat = _CONTAINER
    language: str | None = None
    type: str | None = None
    interim: bool = False
    written: bool = False  # with punctuation and capitals
    digits: bool = False
    speech_events: bool = False
    endpoints: bool = True
    utterance_end_samples: int | None = None
    vocabulary: tuple[str, ...] = ()


class Deepgram(Dialect):
    """One live stream."""

    keyed_later: ClassVar[bool] = False

    def __init__(self, session_id: str, request: Request) -> None:
        super().__init__(session_id, request)
        self._options = _Options()
        self._sha256 = hashlib.sha256()
        self._told_sample = 0  # where the results so far end
        self._speaking = False
        self._utterance_end: int | None = None  # of the last word, until an UtteranceEnd told of it
        self._finalizing = 0
        self._held: ev.Final | None = None  # the last final while a Finalize is unanswered: it may be its answer

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
        self._options = _read_options(self.request)

    def begin(self) -> Sequence[ev.Event]:
        options = self._options
        return (
            ev.Started(
                ev.StartOptions(
                    partial=options.interim or options.speech_events,
                    actual_numbers=options.digits,
                    vocabulary=options.vocabulary,
                    quiet=options.utterance_end_samples is not None,
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
                self._finalizing += 1
                return (ev.FlushAsked(),)
            case "CloseStream":
                return (ev.Stopped(),)
            case "Configure":
                return (Answer(self._refuse_to_configure()),)
            case _:
                return (ev.Misspoke("The message is none of KeepAlive, Finalize and CloseStream.", frame),)

    def _refuse_to_configure(self) -> str:
        return _to_text(
            {
                "type": "ConfigureFailure",
                "request_id": self.session_id,
                "code": "CONFIGURE_KEYTERMS_NOT_SUPPORTED",
                "description": "A stream cannot be configured once it has begun.",
            }
        )

    # --- what is said ------------------------------------------------------------------------------------------------

    def say(self, message: ev.Message) -> Sequence[str]:
        match message:
            case ev.Partial():
                return (*self._release(), *self._start_speech(message.sample), *self._spell_partial(message))
            case ev.Final():
                return self._take_final(message)
            case ev.Quiet():
                return (*self._release(), *self._end_utterance(message.sample))
            case ev.Flushed():
                return self._answer_finalize()
            case ev.StoppedSaid():
                return (*self._release(), self._spell_metadata(message.sample))
            case ev.Failed():
                return (*self._release(), *self._take_error(message))
            case ev.Listening() | ev.ShuttingDown():
                return ()

    def _spell_partial(self, partial: ev.Partial) -> Sequence[str]:
        if not self._options.interim:
            return ()
        text = " ".join(map(self._spell_word, partial.text.split()))
        # Words have no times before they are final, and what stands for their confidence is the text's stability.
        return (self._spell_results(text, [], partial.stability, partial.sample, final=False),)

    def _take_final(self, final: ev.Final) -> Sequence[str]:
        said = (*self._release(), *self._start_speech(final.words[0].start_sample))
        self._speaking = False
        if self._finalizing:
            self._held = final
            return said
        return (*said, *self._spell_final(final))

    def _answer_finalize(self) -> Sequence[str]:
        """Say which result was the last of a Finalize; an empty one where it caused none."""
        self._finalizing -= 1
        if self._held is None:
            return (self._spell_results("", [], 0.0, self._told_sample, from_finalize=True),)
        return self._release(from_finalize=True)

    def _release(self, *, from_finalize: bool = False) -> Sequence[str]:
        held, self._held = self._held, None
        return self._spell_final(held, from_finalize=from_finalize) if held is not None else ()

    def _spell_final(self, final: ev.Final, *, from_finalize: bool = False) -> Sequence[str]:
        words = [self._describe(word) for word in final.words]
        text = " ".join(self._spell_word(word.text) for word in final.words)
        confidence = sum(word.confidence for word in final.words) / len(final.words)
        results = self._spell_results(text, words, confidence, final.sample, from_finalize=from_finalize)
        self._told_sample = final.sample
        self._utterance_end = final.words[-1].end_sample
        return (results, *self._end_utterance(final.sample))

    def _describe(self, word: ev.Word) -> dict[str, object]:
        described: dict[str, object] = {
            "word": _bare(word.text),
            "start": _s(word.start_sample),
            "end": _s(word.end_sample),
            "confidence": round(word.confidence, 4),
        }
        if self._options.written:
            described["punctuated_word"] = word.text
        return described

    def _spell_word(self, text: str) -> str:
        return text if self._options.written else _bare(text)

    def _spell_results(
        self,
        text: str,
        words: Sequence[Mapping[str, object]],
        confidence: float,
        end_sample: int,
        *,
        final: bool = True,
        from_finalize: bool = False,
    ) -> str:
        start = self._told_sample
        return _to_text(
            {
                "type": "Results",
                "channel_index": _CHANNEL,
                "duration": _s(max(0, end_sample - start)),
                "start": _s(start),
                "is_final": final,
                "speech_final": final and self._options.endpoints,
                "channel": {"alternatives": [{"transcript": text, "confidence": round(confidence, 4), "words": words}]},
                "metadata": {
                    "request_id": self.session_id,
                    "model_info": {"name": self.type or "fast", "version": __version__, "arch": "scribewire"},
                    "model_uuid": _NO_MODEL,
                },
                "from_finalize": from_finalize,
            }
        )

    def _start_speech(self, sample: int) -> Sequence[str]:
        if self._speaking:
            return ()
        self._speaking = True
        if not self._options.speech_events:
            return ()
        return (_to_text({"type": "SpeechStarted", "channel": _CHANNEL, "timestamp": _s(sample)}),)

    def _end_utterance(self, sample: int) -> Sequence[str]:
        """Say that an utterance ended, once no word can begin before its end and the gap asked for."""
        end, gap = self._utterance_end, self._options.utterance_end_samples
        if end is None or gap is None or sample - end < gap:
            return ()
        self._utterance_end = None
        return (_to_text({"type": "UtteranceEnd", "channel": _CHANNEL, "last_word_end": _s(end)}),)

    def _spell_metadata(self, sample: int) -> str:
        return _to_text(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self.session_id,
                "sha256": self._sha256.hexdigest(),
                "created": self.request.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "duration": _s(sample),
                "channels": 1,
            }
        )

    def _take_error(self, message: ev.Failed) -> Sequence[str]:
        error = message.error
        spelled = {"type": "Error", "variant": error.code, "code": error.code, "description": str(error)}
        if isinstance(message.about, str):
            spelled |= {"variant": "SchemaError", "message": message.about}
        elif isinstance(error, errors.BadMessage):
            self._finalizing -= 1  # only a Finalize is refused although it was understood
        return (_to_text(spelled),)


def _to_text(message: object) -> str:
    return _encode(message).decode()


def _s(samples: int) -> float:
    return round(samples / SAMPLE_RATE_HZ, 3)


def _bare(word: str) -> str:
    """Give a word without what only writing has; one that is nothing else stays."""
    return word.lower().strip('.,;:!?…"“”«»()') or word


# --- the query -------------------------------------------------------------------------------------------------------


def _read_options(request: Request) -> _Options:
    """Raise BadRequest for what cannot be read, or is not done."""
    query = request.query
    for name in _REFUSED:
        if query.get(name):
            raise errors.BadRequest(f"{name} is not supported.")
    language = query.get("language")
    written = _flag(query, "punctuate") or _flag(query, "smart_format") or _flag(query, "dictation")
    gap_ms = _number(query, "utterance_end_ms", low=1, high=_MAX_WAIT_MS)
    return _Options(
        audio=_read_audio(query),
        language=None if language == "multi" or _flag(query, "detect_language") else language,
        type=query.get("type") or ("quality" if query.get("model", "").startswith(("quality", "whisper")) else "fast"),
        interim=_flag(query, "interim_results"),
        written=written,
        digits=_flag(query, "numerals") or _flag(query, "smart_format"),
        speech_events=_flag(query, "vad_events"),
        endpoints=_read_endpointing(query),
        utterance_end_samples=None if gap_ms is None else samples_of_ms(gap_ms),
        vocabulary=_read_vocabulary(request),
    )


def _read_audio(query: Mapping[str, str]) -> AudioFormat:
    name = query.get("encoding", "").lower()
    encoding = _ENCODINGS.get(name)
    if encoding is None:
        raise errors.BadRequest(f"The encoding must be one of {', '.join(filter(None, _ENCODINGS))}.")
    rate_hz = _number(query, "sample_rate", low=MIN_RATE_HZ, high=MAX_RATE_HZ)
    if rate_hz is None and encoding in ("linear16", "mulaw", "alaw"):
        raise errors.BadRequest(f"The encoding {encoding} needs a sample_rate.")
    channels = _number(query, "channels", low=1, high=2 if encoding == "opus" else MAX_CHANNELS)
    return AudioFormat(encoding, rate_hz or _OPUS_RATE_HZ, channels or 1)


def _read_endpointing(query: Mapping[str, str]) -> bool:
    """Tell whether ends of speech are to be marked; how long a pause is, the service decides."""
    if query.get("endpointing", "").isdigit():
        return True
    return "endpointing" not in query or _flag(query, "endpointing")


def _read_vocabulary(request: Request) -> tuple[str, ...]:
    phrases = request.all("keyterm")
    for keyword in request.all("keywords"):
        word, _, intensifier = keyword.partition(":")
        if not intensifier.startswith("-"):  # to hear a word less often is not supported
            phrases.append(word)
    return fit_vocabulary(phrases)


def _flag(query: Mapping[str, str], name: str) -> bool:
    match query.get(name, "false").lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise errors.BadRequest(f"{name} must be true or false.")


def _number(query: Mapping[str, str], name: str, *, low: int, high: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise errors.BadRequest(f"{name} must be a number from {low} to {high}.")
    return int(text)
