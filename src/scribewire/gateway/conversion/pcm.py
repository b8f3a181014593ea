"""PCM: linear, µ-law and A-law samples of any rate and number of channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from scribewire.core.audio import AudioFormat
from scribewire.gateway.conversion.base import Converter, run_aside
from scribewire.gateway.conversion.resampling import Resampler, Samples, arrange


def _expand_mulaw() -> Samples:
    """Give the value of each code (ITU-T G.711 table 2, scaled to 16 bits)."""
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 0x07)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.float32)


def _expand_alaw() -> Samples:
    """Give the value of each code (ITU-T G.711 table 1, scaled to 16 bits)."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = code >> 4 & 0x07, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, mantissa + 0x108 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.float32)


_COMPANDED: Final[Mapping[str, Samples]] = {"mulaw": _expand_mulaw(), "alaw": _expand_alaw()}


class Pcm(Converter):
    """Samples without a container."""

    def __init__(self, audio: AudioFormat) -> None:
        super().__init__(audio)
        self._table = _COMPANDED.get(audio.encoding)
        self._frame_bytes = audio.channels * (2 if self._table is None else 1)
        self._held = b""
        self._resampler = Resampler(audio.sample_rate_hz, self.channels)

    async def convert(self, chunk: bytes) -> bytes:
        return await run_aside(self._convert, chunk)

    async def drain(self, *, last: bool) -> bytes:
        return self._resampler.drain()

    def _convert(self, chunk: bytes) -> bytes:
        held = self._held + chunk
        whole = len(held) - len(held) % self._frame_bytes
        self._held = held[whole:]
        return self._resampler.push(self._expand(np.frombuffer(held[:whole], np.uint8)))

    def _expand(self, raw: npt.NDArray[np.uint8]) -> Samples:
        samples = raw.view("<i2").astype(np.float32) if self._table is None else self._table[raw]
        return arrange(samples, self.audio.channels, apart=self.channels > 1)
