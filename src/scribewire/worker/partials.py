"""Which partials a stream says of its open segment, in which words, and how much of each is expected to survive."""

from __future__ import annotations

from collections import deque
from itertools import takewhile
from typing import Final

from scribewire.core.audio import WINDOW_SAMPLES
from scribewire.worker.numerals import Numerals

# A changed partial may be shown ten times a second, and three windows are the quantum of a stream that keeps up.
PARTIAL_STEP_SAMPLES: Final = 3 * WINDOW_SAMPLES
# A word counts as stable once it has survived the two partials after the one that brought it.
STABLE_AFTER: Final = 3
# An engine that decodes a window anew each time has made up its mind once two decodes agree (LocalAgreement-2).
STABLE_AFTER_WINDOWED: Final = 2


class Partials:
    """Stability is the share of a partial's words that the last STABLE_AFTER partials, it included, begin with.

    With `stable_only`, those words are all that is said, and they stay until as stable ones contradict them. Of a
    `windowed` engine a partial that is the last once more says nothing: it has not listened again.
    """

    def __init__(self, *, numerals: Numerals | None = None, stable_only: bool = False, windowed: bool = False) -> None:
        self._numerals = numerals
        self._stable_only = stable_only
        self._windowed = windowed
        self._needed = STABLE_AFTER_WINDOWED if windowed else STABLE_AFTER
        self._latest: deque[tuple[str, ...]] = deque(maxlen=self._needed)
        self._shown: tuple[str, ...] = ()
        self._next_sample = 0

    def clear(self) -> None:
        """Begin another segment."""
        self._latest.clear()
        self._shown = ()
        self._next_sample = 0

    def offer(self, words: tuple[str, ...], sample: int) -> tuple[str, float] | None:
        """Give text and stability of what to say; None when it comes too soon after the last, or says nothing new."""
        if sample < self._next_sample:
            return None
        self._next_sample = sample + PARTIAL_STEP_SAMPLES
        words, closed = (words, len(words)) if self._numerals is None else self._numerals.in_partial(words)
        if not self._windowed or not self._latest or words != self._latest[-1]:
            self._latest.append(words)
        stable = min(self._agreed(), closed)
        if not self._stable_only:
            return " ".join(words), round(stable / len(words), 3)
        prefix = words[:stable]
        if prefix == self._shown[:stable]:
            return None
        self._shown = prefix
        return " ".join(prefix), 1.0

    def _agreed(self) -> int:
        if len(self._latest) < self._needed:
            return 0
        return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*self._latest, strict=False)))
