"""Resampling: samples of any rate as s16le at 16 kHz."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from scribewire.core.audio import SAMPLE_RATE_HZ

# One for one of s16le: ±32768. Rows are instants; columns, if any, channels.
Samples = npt.NDArray[np.float32]


def arrange(interleaved: Samples, channels: int, *, apart: bool) -> Samples:
    """Give the mean of the channels, or each in a column of its own."""
    if apart:
        return interleaved.reshape(-1, channels)
    mixed = interleaved[::channels]
    for channel in range(1, channels):
        mixed = mixed + interleaved[channel::channels]
    return mixed / np.float32(channels)


class Resampler:
    """One stream of samples, its channels interleaved. What it gives does not depend on how they were cut.

    In float throughout: soxr dithers what it gives as integers, block by block. It works in blocks of its own, so its
    answer lags by 40 ms at 24 to 48 kHz and by 115 ms at 8 kHz.
    """

    def __init__(self, rate_hz: int, channels: int = 1) -> None:
        self._rate_hz = rate_hz
        self._channels = channels
        self._stream = self._begin()

    def push(self, samples: Samples) -> bytes:
        """Give what is now certain."""
        return _to_s16le(samples if self._stream is None else self._stream.resample_chunk(samples))

    def drain(self) -> bytes:
        """Give the rest, as if silence followed; then begin anew."""
        if self._stream is None:
            return b""
        nothing = np.zeros((0, self._channels) if self._channels > 1 else 0, np.float32)
        rest = self._stream.resample_chunk(nothing, last=True)
        self._stream = self._begin()
        return _to_s16le(rest)

    def _begin(self) -> soxr.ResampleStream | None:
        if self._rate_hz == SAMPLE_RATE_HZ:
            return None
        return soxr.ResampleStream(self._rate_hz, SAMPLE_RATE_HZ, self._channels, dtype="float32", quality="HQ")


def _to_s16le(samples: Samples) -> bytes:
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
