"""Conversion: a client's audio, whatever its format, as the one format inside, for one channel or for each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from scribewire.core.audio import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, AudioFormat
from scribewire.errors import UnsupportedAudio
from scribewire.gateway.conversion.base import Converter, Plain, split

if TYPE_CHECKING:
    from scribewire.gateway.conversion.sniffing import Sniffing

# What an Opus packet can hold (RFC 6716 section 2.1.5); more takes a container.
_MAX_OPUS_CHANNELS: Final = 2


async def converter_of(audio: AudioFormat) -> Converter:
    """Give what converts a format. The first that has work to do loads the libraries for it, in a thread.

    Raises UnsupportedAudio when nothing does.
    """
    if audio == AudioFormat():
        return Plain(audio)
    channels = _MAX_OPUS_CHANNELS if audio.encoding == "opus" else MAX_CHANNELS
    if not MIN_RATE_HZ <= audio.sample_rate_hz <= MAX_RATE_HZ:
        raise UnsupportedAudio(f"Audio has a rate of {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz.")
    if not 1 <= audio.channels <= channels:
        raise UnsupportedAudio(f"Audio of this encoding has 1 to {channels} channels.")
    return (await asyncio.to_thread(_load))(audio)


def _load() -> type[Sniffing]:
    # numpy, soxr and PyAV are a fifth of what a gateway would load, and most hear nothing that needs them.
    from scribewire.gateway.conversion.sniffing import Sniffing

    return Sniffing


__all__ = ["Converter", "Plain", "converter_of", "split"]
