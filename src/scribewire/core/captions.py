"""Captions: a stream of timed words cut into cues as broadcasters cut them.

The rules, and who asks for them:

- at most 2 lines of 42 letters (16 wide characters), one line if it fits; a cue stands 1 to 7 s, 80 ms (2 frames)
  before the next, and a gap of up to half a second is closed to that (Netflix Timed Text Style Guide, General
  Requirements and Subtitle Timing Guidelines: 5/6 s, 7 s, 2 frames, 12 frames);
- at most 20 letters a second (Netflix, English guide, adult programmes), for which a cue stands on into the pause
  after it; wide characters take the more time by as much as they take the more room, so 7.6 of them a second (Netflix
  allows 9 in Chinese);
- breaks at pauses first, then at punctuation and before phrases, never after an article, a preposition or a
  conjunction where it can be helped (Netflix; BBC Subtitle Guidelines, "Break at natural points");
- of two lines the lower is the longer, so that less of the picture is covered (Netflix, "bottom-heavy").

Where speech is too quick for all of them, words and their order come first, then the length of lines, then time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from scribewire.core.lines import MAX_LINES, Layout, Split
from scribewire.core.phrases import LETTER_ROOM, LINE_ROOM, TimedWord, ends_sentence, flaw_between, join, pieces_of

MIN_CUE_MS: Final = 1_000
MAX_CUE_MS: Final = 7_000
MIN_GAP_MS: Final = 80
CLOSED_GAP_MS: Final = 500
_LETTERS_PER_S: Final = 20
# No cue spans such a pause: it would show what is said only after it.
_LONG_PAUSE_MS: Final = 1_000
# From here on a pause is as good a place to break as there is.
_GOOD_PAUSE_MS: Final = 600
# What is looked at before a cue is settled: enough for the one after it, so that no word is left over alone.
_AHEAD_ROOM: Final = 2 * MAX_LINES * LINE_ROOM
_AHEAD_MS: Final = 2 * MAX_CUE_MS
# What a cue costs by itself, beside the flaws of its breaks: it ends early for a long pause, but not for a small one.
_CUE_COST: Final = 40.0


class Timed(Protocol):
    """A word as a final has it."""

    @property
    def text(self) -> str: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen at a time: one line or two."""

    start_ms: int
    end_ms: int
    lines: tuple[tuple[TimedWord, ...], ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Give the lines as text."""
        return tuple(map(join, self.lines))


class Captioner:
    """Takes the words of finals in their order and gives cues, each as soon as no later word can change it.

    However the words are shared out over calls, the cues are the same. `language` is a language tag.
    """

    def __init__(self, language: str = "en") -> None:
        self._language = language.lower().replace("_", "-").partition("-")[0]
        self._open: list[TimedWord] = []
        self._free_at_ms = 0

    def add(self, words: Iterable[Timed]) -> list[Cue]:
        """Take words, and give the cues that are settled by them."""
        cues: list[Cue] = []
        for word in words:
            if text := " ".join(word.text.split()):
                for piece in pieces_of(TimedWord(text, word.start_ms, max(word.start_ms, word.end_ms))):
                    cues += self._take(piece)
        return cues

    @property
    def open_text(self) -> str:
        """Give the words that are in no cue yet."""
        return join(self._open)

    def end(self) -> list[Cue]:
        """Give the cues of what is left; no more words come."""
        return self._settle(None)

    def _take(self, word: TimedWord) -> list[Cue]:
        cues: list[Cue] = []
        if self._open and word.start_ms - self._open[-1].end_ms >= _LONG_PAUSE_MS:
            cues = self._settle(word)
        self._open.append(word)
        while len(self._open) > 1 and self._sees_enough():
            first = self._cut(ended=False)[0]
            cues.append(self._cue(self._open[:first], self._open[first]))
            del self._open[:first]
        return cues

    def _sees_enough(self) -> bool:
        words = self._open
        return words[-1].end_ms - words[0].start_ms > _AHEAD_MS or Layout(words, "").room(0, len(words)) > _AHEAD_ROOM

    def _settle(self, following: TimedWord | None) -> list[Cue]:
        words, cues, at = self._open, [], 0
        for end in self._cut(ended=True):
            cues.append(self._cue(words[at:end], words[end] if end < len(words) else following))
            at = end
        self._open = []
        return cues

    # --- where to break ----------------------------------------------------------------------------------------------

    def _cut(self, *, ended: bool) -> list[int]:
        """Give where each cue ends, so that all together are the best; the last may yet grow unless `ended`."""
        layout = Layout(self._open, self._language)
        count = len(self._open)
        cheapest: list[tuple[float, int]] = [(0.0, 0)]
        for end in range(1, count + 1):
            leaving = 0.0 if end == count else self._leaving_flaw(end)
            costs: list[tuple[float, int]] = []
            for first in range(end - 1, -1, -1):
                split = self._fit(layout, first, end)
                if split is None:
                    break
                cost = _CUE_COST + split.flaw + leaving + self._inside_flaw(first, end)
                if end < count:
                    cost += self._haste(layout, first, end)
                if end < count or ended:
                    cost += 30 * (1 - layout.room(first, end) / (MAX_LINES * LINE_ROOM)) ** 2
                costs.append((cheapest[first][0] + cost, first))
            cheapest.append(min(costs))
        ends = [count] if count else []
        while ends and (first := cheapest[ends[-1]][1]):
            ends.append(first)
        return ends[::-1]

    def _fit(self, layout: Layout, first: int, end: int) -> Split | None:
        """Give the lines of a cue, or None when it is too long; a word alone is never."""
        if end - first > 1 and self._open[end - 1].end_ms - self._open[first].start_ms > MAX_CUE_MS:
            return None
        return layout.split(first, end)

    def _leaving_flaw(self, end: int) -> float:
        """Say how bad it is that a cue ends before this word."""
        left, right = self._open[end - 1 : end + 1]
        hurry = 1 - min(_pause_ms(left, right), _GOOD_PAUSE_MS) / _GOOD_PAUSE_MS
        return flaw_between(left.text, right.text, self._language) + 60 * hurry

    def _inside_flaw(self, first: int, end: int) -> float:
        """Say how bad it is that a cue goes on over its pauses and sentences."""
        return sum(
            max(0, _pause_ms(left, right) - 300) / 8 + (15 if ends_sentence(left.text) else 0)
            for left, right in pairwise(self._open[first:end])
        )

    def _haste(self, layout: Layout, first: int, end: int) -> float:
        """Say how much of the time that a cue should stand is missing."""
        stands_ms = min(self._open[end].start_ms - MIN_GAP_MS - self._open[first].start_ms, MAX_CUE_MS)
        wanted_ms = _reading_ms(layout.room(first, end))
        haste = 100 * max(0, wanted_ms - stands_ms) / wanted_ms
        return haste + (200 if stands_ms < MIN_CUE_MS else 0)

    # --- when it stands ----------------------------------------------------------------------------------------------

    def _cue(self, words: Sequence[TimedWord], following: TimedWord | None) -> Cue:
        layout = Layout(words, self._language)
        start_ms = max(words[0].start_ms, self._free_at_ms)
        reading_ms = _reading_ms(layout.room(0, len(words)))
        end_ms = max(words[-1].end_ms, start_ms + MIN_CUE_MS, start_ms + reading_ms)
        if following and following.start_ms - end_ms <= CLOSED_GAP_MS:
            end_ms = following.start_ms - MIN_GAP_MS
        # Where words come too quickly for that, the next cue waits.
        end_ms = min(max(end_ms, start_ms + MIN_CUE_MS), start_ms + MAX_CUE_MS)
        self._free_at_ms = end_ms + MIN_GAP_MS
        split = layout.split(0, len(words))
        assert split, "a cut gives what two lines hold"
        lines = tuple(words[: split.at]), tuple(words[split.at :])
        return Cue(start_ms, end_ms, tuple(filter(None, lines)))


def _pause_ms(left: TimedWord, right: TimedWord) -> int:
    return max(0, right.start_ms - left.end_ms)


def _reading_ms(room: int) -> int:
    return room * 1_000 // (LETTER_ROOM * _LETTERS_PER_S)
