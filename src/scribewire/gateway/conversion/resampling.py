"""Resampling: mono samples of any rate as s16le at 16 kHz."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from scribewire.core.audio import SAMPLE_RATE_HZ

Samples = npt.NDArray[np.float32]  # mono, one for one of s16le: ±32768


def mix(interleaved: Samples, channels: int) -> Samples:
    """Give the mean of the channels."""
    mixed = interleaved[::channels]
    for channel in range(1, channels):
        mixed = mixed + interleaved[channel::channels]
    return mixed / np.float32(channels)


class Resampler:
    """One stream of samples. What it gives does not depend on how they were cut.

    In float throughout: soxr dithers what it gives as integers, block by block. It works in blocks of its own, so its
    answer lags by 40 ms at 24 to 48 kHz and by 115 ms at 8 kHz.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._stream = self._begin()

    def push(self, samples: Samples) -> bytes:
        """Give what is now certain."""
        return _to_s16le(samples if self._stream is None else self._stream.resample_chunk(samples))

    def drain(self) -> bytes:
        """Give the rest, as if silence followed; then begin anew."""
        if self._stream is None:
            return b""
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._stream = self._begin()
        return _to_s16le(rest)

    def _begin(self) -> soxr.ResampleStream | None:
        if self._rate_hz == SAMPLE_RATE_HZ:
            return None
        return soxr.ResampleStream(self._rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")


def _to_s16le(samples: Samples) -> bytes:
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
