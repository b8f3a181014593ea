"""WAV: a header that says what follows, and samples. Without a library, which would hold back seconds of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scribewire.core.audio import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, AudioFormat, Encoding
from scribewire.core.intake import Intake, WavFormat
from scribewire.errors import UnsupportedAudio
from scribewire.gateway.conversion.base import Converter
from scribewire.gateway.conversion.pcm import Pcm

# By format tag and bits (RFC 2361).
_ENCODINGS: Final[Mapping[tuple[int, int], Encoding]] = {(1, 16): "linear16", (6, 8): "alaw", (7, 8): "mulaw"}
_RATES_HZ: Final = range(MIN_RATE_HZ, MAX_RATE_HZ + 1)
_CHANNELS: Final = range(1, MAX_CHANNELS + 1)


class Wav(Converter):
    """PCM of 16 bits, µ-law or A-law, as the header says."""

    def __init__(self, audio: AudioFormat) -> None:
        super().__init__(audio)
        self._intake = Intake(self._take_format)
        self._samples: Pcm | None = None

    @property
    def channels(self) -> int:
        return self._samples.channels if self._samples is not None else super().channels

    async def convert(self, chunk: bytes) -> bytes:
        samples = self._intake.push(chunk)
        if self._samples is not None:
            return await self._samples.convert(samples)
        if samples:
            raise UnsupportedAudio("The audio begins like WAV, and is none.")
        return b""

    async def drain(self, *, last: bool) -> bytes:
        return await self._samples.drain(last=last) if self._samples is not None else b""

    def _take_format(self, found: WavFormat) -> None:
        encoding = _ENCODINGS.get((found.tag, found.bits))
        if encoding is None or found.rate_hz not in _RATES_HZ or found.channels not in _CHANNELS:
            raise UnsupportedAudio(
                f"The WAV header announces {found}; "
                f"send 16-bit PCM, mu-law or A-law of {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz."
            )
        self._samples = Pcm(AudioFormat(encoding, found.rate_hz, found.channels, self.audio.apart))
