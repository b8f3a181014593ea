"""Subtitle files: cues spelled as SubRip (SRT) and as WebVTT, one at a time, so that a file is whole at any moment."""

from __future__ import annotations

from typing import Final, Protocol

from scribewire.core.captions import Cue
from scribewire.core.phrases import blank_between


class Spelling(Protocol):
    """How cues are written down: the head once, then each cue."""

    @property
    def head(self) -> str: ...

    def spell(self, cue: Cue) -> str:
        """Give the text of the next cue."""
        ...


class Srt:
    """SubRip: numbered cues. Lines end as SubRip itself ends them, since some television sets take no other."""

    head: Final = ""

    def __init__(self) -> None:
        self._number = 0

    def spell(self, cue: Cue) -> str:
        """Give the text of the next cue."""
        self._number += 1
        times = f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}"
        return "\r\n".join([str(self._number), times, *cue.texts, "", ""])


class WebVtt:
    """WebVTT (https://www.w3.org/TR/webvtt1/). With `word_times`, a player can show each word as it is said."""

    head: Final = "WEBVTT\n\n"

    def __init__(self, *, word_times: bool = False) -> None:
        self._word_times = word_times

    def spell(self, cue: Cue) -> str:
        """Give the text of the next cue."""
        times = f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"
        lines = self._timed_lines(cue) if self._word_times else [_escaped(text) for text in cue.texts]
        return "\n".join([times, *lines, "", ""])

    def _timed_lines(self, cue: Cue) -> list[str]:
        # Section 4.2.2: a time within a cue is after its start and those before it, and before its end.
        lines, shown_ms = [], cue.start_ms
        for words in cue.lines:
            line, before = "", ""
            for word in words:
                line += blank_between(before, word.text) if before else ""
                if shown_ms < word.start_ms < cue.end_ms:
                    line += f"<{_clock(word.start_ms, '.')}>"
                    shown_ms = word.start_ms
                line += _escaped(word.text)
                before = word.text
            lines.append(line)
        return lines


def _clock(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{ms:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
