"""Audio as clients of other protocols send it: other rates than the one inside."""

from __future__ import annotations

import av
import numpy as np

from scribewire.core.audio import SAMPLE_RATE_HZ


def at_rate(pcm: bytes, rate_hz: int) -> bytes:
    """Give s16le at 16 kHz at another rate."""
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, np.int16).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE_HZ
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    blocks = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(bytes(block.planes[0])[: block.samples * 2] for block in blocks)
