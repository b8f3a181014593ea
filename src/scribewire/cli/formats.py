"""The formats of results: what is written of each partial and final, and what after the last."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from scribewire.client import Final, Partial
from scribewire.core.captions import Captioner, Cue
from scribewire.core.subtitles import Spelling, Srt, WebVtt


class Format(StrEnum):
    """What is written."""

    TEXT = "text"
    JSONL = "jsonl"
    SRT = "srt"
    VTT = "vtt"


_BY_SUFFIX = {".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".srt": Format.SRT, ".vtt": Format.VTT}


def format_of(path: Path | None) -> Format:
    """Give the format that a file's name means; text when it means none."""
    return _BY_SUFFIX.get(path.suffix.lower(), Format.TEXT) if path else Format.TEXT


class Results:
    """What to write, in the order of a session: `head`, then of each message, then `end`. This one: finals as lines."""

    wants_partials = False

    def head(self) -> str:
        """Give what comes before all."""
        return ""

    def take(self, message: Partial | Final) -> str:
        """Give what a message settles."""
        return f"{message.text}\n" if isinstance(message, Final) else ""

    def unsettled(self) -> str:
        """Give the text of finals that waits for what comes next."""
        return ""

    def end(self) -> str:
        """Give the rest."""
        return ""


class _JsonLines(Results):
    wants_partials = True

    def take(self, message: Partial | Final) -> str:
        return msgspec.json.encode(message).decode() + "\n"


class _Captions(Results):
    def __init__(self, spelling: Spelling, language: str) -> None:
        self._spelling = spelling
        self._captioner = Captioner(language)

    def head(self) -> str:
        return self._spelling.head

    def take(self, message: Partial | Final) -> str:
        return self._spell(self._captioner.add(message.words)) if isinstance(message, Final) else ""

    def unsettled(self) -> str:
        return self._captioner.open_text

    def end(self) -> str:
        return self._spell(self._captioner.end())

    def _spell(self, cues: list[Cue]) -> str:
        return "".join(map(self._spelling.spell, cues))


def results_of(format_: Format, *, language: str | None, word_times: bool) -> Results:
    """Give what writes a format. Captions in an unnamed language are broken as English."""
    match format_:
        case Format.TEXT:
            return Results()
        case Format.JSONL:
            return _JsonLines()
        case Format.SRT:
            return _Captions(Srt(), language or "en")
        case Format.VTT:
            return _Captions(WebVtt(word_times=word_times), language or "en")
