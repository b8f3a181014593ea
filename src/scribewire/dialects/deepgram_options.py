"""Deepgram options: what the query of its streaming endpoint asks for. Source: as of the dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scribewire.core.audio import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, AudioFormat, Encoding, samples_of_ms
from scribewire.dialects.base import Request
from scribewire.dialects.vocabulary import fit_vocabulary
from scribewire.errors import BadRequest

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


@dataclass(frozen=True, slots=True)
class Options:
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


def read_options(request: Request) -> Options:
    """Raise BadRequest for what cannot be read, or is not done."""
    query = request.query
    for name in _REFUSED:
        if query.get(name):
            raise BadRequest(f"{name} is not supported.")
    language = query.get("language")
    written = _flag(query, "punctuate") or _flag(query, "smart_format") or _flag(query, "dictation")
    gap_ms = _number(query, "utterance_end_ms", low=1, high=_MAX_WAIT_MS)
    return Options(
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
        raise BadRequest(f"The encoding must be one of {', '.join(filter(None, _ENCODINGS))}.")
    rate_hz = _number(query, "sample_rate", low=MIN_RATE_HZ, high=MAX_RATE_HZ)
    if rate_hz is None and encoding in ("linear16", "mulaw", "alaw"):
        raise BadRequest(f"The encoding {encoding} needs a sample_rate.")
    channels = _number(query, "channels", low=1, high=2 if encoding == "opus" else MAX_CHANNELS)
    if encoding in ("container", "flac"):
        channels = 1  # until it says how many
    return AudioFormat(encoding, rate_hz or _OPUS_RATE_HZ, channels or 1, _flag(query, "multichannel"))


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
            raise BadRequest(f"{name} must be true or false.")


def _number(query: Mapping[str, str], name: str, *, low: int, high: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise BadRequest(f"{name} must be a number from {low} to {high}.")
    return int(text)
