"""Pacing of partials: which to send now, which to hold, which to forget."""

from __future__ import annotations

from typing import Final

from scribewire.core.audio import samples_of_ms
from scribewire.core.events import Partial

# The contract: a changed text at most every 100 ms of time, and any text at least every 250 ms of audio. A decoder
# reports about every 100 ms of audio, so the one after the next report would be late: refresh from 150 ms on.
MIN_GAP_S: Final = 0.1
REFRESH_SAMPLES: Final = samples_of_ms(150)


class PartialPacer:
    """Holds at most one partial. Offsets never go back, also when a segment is decoded again after a loss."""

    def __init__(self) -> None:
        self._text = ""
        self._sample = 0  # of the last one sent, or the end of the last segment
        self._heard_sample = 0  # of the last one offered
        self._sent_at_s: float | None = None
        self._held: Partial | None = None

    @property
    def due(self) -> float | None:
        """Give the time at which the held partial may go."""
        if self._held is None or self._sent_at_s is None:
            return None
        return self._sent_at_s + MIN_GAP_S

    def offer(self, partial: Partial, now: float) -> Partial | None:
        """Give the partial to send now, if any."""
        if not partial.text or partial.sample < self._sample:
            return None
        self._heard_sample = partial.sample
        if partial.text == self._text:
            self._held = None
            return self._send(partial, now) if partial.sample - self._sample >= REFRESH_SAMPLES else None
        self._held = partial
        return self.release(now)

    def release(self, now: float) -> Partial | None:
        """Give the held partial once its time has come."""
        if self._held is None or (self.due is not None and now < self.due):
            return None
        return self._send(self._held, now)

    def end_segment(self, sample: int) -> None:
        """Forget the segment, which ended at `sample`."""
        self._held = None
        self._text = ""
        self._sample = max(self._sample, sample)

    def pass_silence(self, sample: int) -> None:
        """Forget a segment that ended without a word, if all of it stands before `sample`."""
        if sample >= self._heard_sample:
            self.end_segment(sample)

    def _send(self, partial: Partial, now: float) -> Partial:
        self._held = None
        self._text = partial.text
        self._sample = partial.sample
        self._sent_at_s = now
        return partial
