"""Lag: how long ago the audio arrived that a result speaks of."""

from __future__ import annotations

from collections import deque
from typing import Final

from scribewire.core.audio import samples_of_ms

_STEP_SAMPLES: Final = samples_of_ms(40)
_MAX_MARKS: Final = 4096  # some 160 s of audio; past that the oldest arrivals are forgotten


class LagMeter:
    """Remembers when audio arrived, in steps of 40 ms."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque(maxlen=_MAX_MARKS)
        self._marked = 0

    def arrived(self, end_sample: int, now: float) -> None:
        """Note that audio up to `end_sample` is here."""
        if end_sample - self._marked >= _STEP_SAMPLES:
            self._marked = end_sample
            self._marks.append((end_sample, now))

    def lag_s(self, sample: int, now: float) -> float | None:
        """Give the age in seconds of the audio just before `sample`; None when it was too short to be noted."""
        marks = self._marks
        while len(marks) > 1 and marks[0][0] < sample:
            marks.popleft()
        return now - marks[0][1] if marks else None
