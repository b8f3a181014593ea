"""The audio that may have to be sent again, by absolute sample: bounded, and silence is let go of first."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

from scribewire.core.audio import SAMPLE_BYTES, samples_of_ms

# What is judged and let go of at a time: a tenth of a second, no longer than a pause between words.
BLOCK_SAMPLES: Final = samples_of_ms(100)
_BLOCK_BYTES: Final = BLOCK_SAMPLES * SAMPLE_BYTES
# Of 32,768: what no sample passes in a room where nobody speaks, and any voice worth hearing does.
QUIET_PEAK: Final = 400


class Gone(Enum):
    """What stands in place of a block that was let go of."""

    SILENCE = True
    SOUND = False


class Kept:
    """A window [first_sample, end_sample) of the session's audio. What was let go of reads as digital silence."""

    def __init__(self, bound_samples: int) -> None:
        self._bound_blocks = max(1, bound_samples // BLOCK_SAMPLES)
        self._blocks: deque[bytes | Gone] = deque()
        self._tail = bytearray()
        self._first_block = 0
        self._held_blocks = 0
        self._told: set[int] = set()
        self._judged_block = 0  # of the blocks before it, those that are held are not silent

    @property
    def bound_samples(self) -> int:
        """Give how much is kept at most."""
        return self._bound_blocks * BLOCK_SAMPLES

    @property
    def first_sample(self) -> int:
        """Give the position of the first sample that can be read."""
        return self._first_block * BLOCK_SAMPLES

    @property
    def end_sample(self) -> int:
        """Give the position after the last sample."""
        return self.first_sample + len(self._blocks) * BLOCK_SAMPLES + len(self._tail) // SAMPLE_BYTES

    def append(self, pcm: bytes) -> None:
        """Keep more, whole samples; past the bound the oldest silence goes, or the oldest sound when there is none."""
        self._tail += pcm
        whole = len(self._tail) // _BLOCK_BYTES * _BLOCK_BYTES
        for at in range(0, whole, _BLOCK_BYTES):
            self._blocks.append(bytes(self._tail[at : at + _BLOCK_BYTES]))
            self._held_blocks += 1
            if self._held_blocks > self._bound_blocks:
                self._let_one_go()
        del self._tail[:whole]

    def release(self, before_sample: int) -> None:
        """Forget whole blocks before a position: they are not needed any more."""
        while self._blocks and self.first_sample + BLOCK_SAMPLES <= before_sample:
            self._held_blocks -= not isinstance(self._blocks.popleft(), Gone)
            self._told.discard(self._first_block)
            self._first_block += 1
        self._judged_block = max(self._judged_block, self._first_block)

    def read(self, start_sample: int, end_sample: int) -> bytes:
        """Give [start_sample, end_sample), which must lie in the window."""
        first = start_sample // BLOCK_SAMPLES
        last = -(-end_sample // BLOCK_SAMPLES)
        pcm = b"".join(self._block(number) for number in range(first, last))
        at = (start_sample - first * BLOCK_SAMPLES) * SAMPLE_BYTES
        return pcm[at : at + (end_sample - start_sample) * SAMPLE_BYTES]

    def held_from(self, sample: int) -> int:
        """Give the first position from `sample` on that was not let go of."""
        number = sample // BLOCK_SAMPLES
        if not isinstance(self._at(number), Gone):
            return sample
        while isinstance(self._at(number), Gone):
            number += 1
        return number * BLOCK_SAMPLES

    def take_lost(self, start_sample: int, end_sample: int) -> list[tuple[int, int, bool]]:
        """Give the spans of a stretch that were let go of and not given before, and whether each was silent."""
        spans: list[tuple[int, int, bool]] = []
        for number in range(start_sample // BLOCK_SAMPLES, -(-end_sample // BLOCK_SAMPLES)):
            gone = self._at(number)
            if not isinstance(gone, Gone) or number in self._told:
                continue
            self._told.add(number)
            start, end = max(number * BLOCK_SAMPLES, start_sample), (number + 1) * BLOCK_SAMPLES
            if spans and spans[-1][1:] == (start, gone.value):
                start = spans.pop()[0]
            spans.append((start, end, gone.value))
        return spans

    def _at(self, number: int) -> bytes | Gone:
        index = number - self._first_block
        return self._blocks[index] if index < len(self._blocks) else bytes(self._tail)

    def _block(self, number: int) -> bytes:
        block = self._at(number)
        return bytes(_BLOCK_BYTES) if isinstance(block, Gone) else block

    def _let_one_go(self) -> None:
        for number in range(self._judged_block, self._first_block + len(self._blocks)):
            block = self._at(number)
            self._judged_block = number + 1
            if not isinstance(block, Gone) and is_quiet(block):
                self._replace(number, Gone.SILENCE)
                return
        oldest = next(i for i, block in enumerate(self._blocks) if not isinstance(block, Gone))
        self._replace(self._first_block + oldest, Gone.SOUND)

    def _replace(self, number: int, gone: Gone) -> None:
        self._blocks[number - self._first_block] = gone
        self._held_blocks -= 1


def is_quiet(pcm: bytes) -> bool:
    """Say whether no sample of some audio is loud."""
    samples = memoryview(pcm).cast("h")
    return min(samples) >= -QUIET_PEAK and max(samples) <= QUIET_PEAK
