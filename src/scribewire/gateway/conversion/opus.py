"""Opus: packets without a container, one a frame (RFC 6716), as telephony and WebRTC bridges send them."""

from __future__ import annotations

from typing import Final

import av
import numpy as np

from scribewire.core.audio import AudioFormat
from scribewire.errors import UnsupportedAudio
from scribewire.gateway.conversion.base import Converter
from scribewire.gateway.conversion.resampling import Resampler, Samples, arrange

# What the decoder gives, whatever the packet was made from.
_RATE_HZ: Final = 48_000
# 120 ms of the highest rate is less (RFC 6716 section 3.2.1).
_MAX_PACKET_BYTES: Final = 8 * 1024


class OpusPackets(Converter):
    """Packets of one or two channels. A packet decodes to 120 ms at most: there is no way to send a bomb."""

    def __init__(self, audio: AudioFormat) -> None:
        super().__init__(audio)
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = _RATE_HZ
        self._decoder.layout = "mono" if audio.channels == 1 else "stereo"
        self._resampler = Resampler(_RATE_HZ, self.channels)

    async def convert(self, chunk: bytes) -> bytes:
        # Thirty microseconds for 20 ms: a thread would take longer.
        if not chunk:
            return b""
        if len(chunk) > _MAX_PACKET_BYTES:
            raise UnsupportedAudio("The frame is too long for an Opus packet: send one packet a frame.")
        try:
            frames = self._decoder.decode(av.Packet(chunk))
        except av.FFmpegError as error:
            raise UnsupportedAudio("The frame is no Opus packet.") from error
        return b"".join([self._resampler.push(self._samples_of(frame)) for frame in frames])

    async def drain(self, *, last: bool) -> bytes:
        return self._resampler.drain()

    def _samples_of(self, frame: av.AudioFrame) -> Samples:
        interleaved = frame.to_ndarray().ravel().astype(np.float32)
        return arrange(interleaved, frame.layout.nb_channels, apart=self.channels > 1)
