"""Lines: words laid out one after another, and the best way to set a run of them on one line or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scribewire.core.phrases import LETTER_ROOM, LINE_ROOM, TimedWord, blank_between, flaw_between, room_of

MAX_LINES: Final = 2


@dataclass(frozen=True, slots=True)
class Split:
    """How many words stand on the first line, and how bad the break after them is."""

    at: int
    flaw: float


class Layout:
    """Words on one endless line, of which any part is measured at once. `language` is a primary subtag."""

    def __init__(self, words: Sequence[TimedWord], language: str) -> None:
        self._words = words
        self._language = language
        self._starts: list[int] = []
        self._ends: list[int] = []
        at, before = 0, ""
        for word in words:
            at += LETTER_ROOM * len(blank_between(before, word.text)) if before else 0
            self._starts.append(at)
            at += room_of(word.text)
            self._ends.append(at)
            before = word.text

    def room(self, first: int, end: int) -> int:
        """Give the room that some of the words take on a line."""
        return self._ends[end - 1] - self._starts[first]

    def split(self, first: int, end: int) -> Split | None:
        """Give the best way to set some of the words, or None where two lines do not hold them.

        One line if it fits. A word alone may overflow.
        """
        if end - first == 1 or self.room(first, end) <= LINE_ROOM:
            return Split(end - first, 0.0)
        flaws = [
            (self._flaw(first, at, end), at - first)
            for at in range(first + 1, end)
            if self.room(first, at) <= LINE_ROOM and self.room(at, end) <= LINE_ROOM
        ]
        if not flaws:
            return None
        flaw, at = min(flaws)
        return Split(at, flaw)

    def _flaw(self, first: int, at: int, end: int) -> float:
        top, bottom = self.room(first, at), self.room(at, end)
        uneven = 20 * abs(top - bottom) / LINE_ROOM + (5 if top > bottom else 0)
        return flaw_between(self._words[at - 1].text, self._words[at].text, self._language) / 2 + uneven
