"""Kept audio: what a session holds until nothing before it can change, addressed by absolute sample."""

from __future__ import annotations

from scribewire.core.audio import SAMPLE_BYTES


class KeptAudio:
    """A window [first_sample, end_sample) that grows at its end and is released at its front."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self.first_sample = 0

    @property
    def end_sample(self) -> int:
        """Give the position after the last sample."""
        return self.first_sample + len(self._pcm) // SAMPLE_BYTES

    @property
    def samples(self) -> int:
        """Give how many samples are held."""
        return len(self._pcm) // SAMPLE_BYTES

    def append(self, pcm: bytes) -> None:
        """Hold more, whole samples."""
        self._pcm += pcm

    def read(self, start_sample: int, end_sample: int) -> bytes:
        """Give [start_sample, end_sample), which must be held."""
        at = (start_sample - self.first_sample) * SAMPLE_BYTES
        return bytes(memoryview(self._pcm)[at : (end_sample - self.first_sample) * SAMPLE_BYTES])

    def release(self, before_sample: int) -> None:
        """Let go of everything before a position at or before the end; a position already passed changes nothing."""
        count = before_sample - self.first_sample
        if count > 0:
            del self._pcm[: count * SAMPLE_BYTES]
            self.first_sample = before_sample
