"""Pace: live sound as it was spoken, not in the lumps in which it is delivered."""

from __future__ import annotations

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ


class Pace:
    """Says how long to hold each block back, so that sound is given in real time; what is late is not held."""

    def __init__(self) -> None:
        self._due_at_s: float | None = None

    def hold_s(self, pcm: bytes, now: float) -> float:
        """Give the seconds from `now` until a block is due, 0 or more."""
        # A source that stood still for a while goes on from there: the time that it lost is not made up for in a burst.
        due_at_s = now if self._due_at_s is None else max(self._due_at_s, now)
        self._due_at_s = due_at_s + len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ
        return due_at_s - now
