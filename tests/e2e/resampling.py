"""Audio as clients of other protocols send it: other rates and encodings than the one inside."""

from __future__ import annotations

import av
import numpy as np

from scribewire.core.audio import SAMPLE_RATE_HZ
from tests.gateway.encoding import frame_of

G711_RATE_HZ = 8_000


def at_rate(pcm: bytes, rate_hz: int) -> bytes:
    """Give s16le at 16 kHz at another rate."""
    frame = frame_of(np.frombuffer(pcm, np.int16), rate_hz=SAMPLE_RATE_HZ)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    blocks = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(bytes(block.planes[0])[: block.samples * 2] for block in blocks)


def as_g711(pcm: bytes, codec: str) -> bytes:
    """Give s16le at 16 kHz as µ-law (`pcm_mulaw`) or A-law (`pcm_alaw`) at 8 kHz."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = G711_RATE_HZ, "mono", "s16"
    frame = frame_of(np.frombuffer(at_rate(pcm, G711_RATE_HZ), np.int16), rate_hz=G711_RATE_HZ)
    return b"".join(map(bytes, [*encoder.encode(frame), *encoder.encode(None)]))
