"""Feed: where the present stream stands in the kept audio, what it may have next, and what it owes."""

from __future__ import annotations

from collections.abc import Iterator

from scribewire.core.audio import WINDOW_SAMPLES
from scribewire.core.flushes import Flush, FlushQueue
from scribewire.core.kept import KeptAudio
from scribewire.core.limits import Limits


class Feed:
    """Four positions, settled ≤ consumed ≤ fed ≤ kept.end_sample; only the first and the last outlive a stream."""

    def __init__(self, kept: KeptAudio, limits: Limits) -> None:
        self.settled = 0
        self.consumed = 0
        self.fed = 0
        self.resume = b""  # what opens a stream at `settled`
        self.flushes = FlushQueue()
        self._kept = kept
        self._limits = limits
        self._excused = 0

    def rewind(self) -> None:
        """Begin again where all is settled, for another stream."""
        self.fed = self.consumed = self.settled
        self.flushes.rewind()

    def excuse_backlog(self) -> None:
        """Note what gathered while there was no stream: it is not the client's haste, and only shrinks from here."""
        self._excused = self._backlog

    def take(self) -> Iterator[bytes | Flush]:
        """Give what the stream may have now: audio up to the end of the window, each flush at its place."""
        window_end = self.consumed + self._limits.window_samples
        while True:
            flush = self.flushes.next
            start, end = self.fed, min(flush.sample if flush else self._kept.end_sample, window_end)
            if end > start:
                self.fed = end
                yield self._kept.read(start, end)
            if flush is None or self.fed < flush.sample:
                return
            self.flushes.mark_sent()
            yield flush

    def consume(self, sample: int) -> bool:
        """Note that all before `sample` is decoded; False when that says nothing new."""
        sample = min(sample, self.fed)
        if sample <= self.consumed:
            return False
        self.consumed = sample
        self._excused = min(self._excused, self._backlog)
        return True

    def settle(self, sample: int, resume: bytes) -> bool:
        """Let go of all before `sample`; False when that says nothing new."""
        sample = min(sample, self.fed)
        if sample <= self.settled:
            return False
        self.consume(sample)
        self.settled = sample
        self.resume = resume
        self._kept.release(sample)
        return True

    @property
    def complete(self) -> bool:
        """Say whether the stream has everything there is."""
        return self.fed == self._kept.end_sample and self.flushes.next is None

    @property
    def owed(self) -> bool:
        """Say whether the stream has something to do. What is short of a window waits for more audio."""
        return self.fed - self.consumed >= WINDOW_SAMPLES or self.hoarded or self.flushes.sent

    @property
    def hoarded(self) -> bool:
        """Say whether the stream has decoded as much as may be kept and settled none of it."""
        return self.consumed - self.settled >= self._limits.kept_samples

    @property
    def ahead(self) -> int:
        """Give by how many samples the client of an open stream is further ahead than it may be, or how many less."""
        return max(self.overfull, self._backlog - self._excused - self._limits.backlog_samples)

    @property
    def overfull(self) -> int:
        """Give by how many samples more is kept than may be, or how many less."""
        return self._kept.samples - self._limits.kept_samples

    @property
    def _backlog(self) -> int:
        return self._kept.end_sample - self.consumed
