"""Conversion: a client's audio, whatever its format, as the one format inside, for one channel or for each."""

from __future__ import annotations

from typing import Final

from scribewire.core.audio import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, AudioFormat
from scribewire.errors import UnsupportedAudio
from scribewire.gateway.conversion.base import Converter, Plain, split
from scribewire.gateway.conversion.sniffing import Sniffing

# What an Opus packet can hold (RFC 6716 section 2.1.5); more takes a container.
_MAX_OPUS_CHANNELS: Final = 2


def converter_of(audio: AudioFormat) -> Converter:
    """Give what converts a format.

    Raises UnsupportedAudio when nothing does.
    """
    if audio == AudioFormat():
        return Plain(audio)
    channels = _MAX_OPUS_CHANNELS if audio.encoding == "opus" else MAX_CHANNELS
    if not MIN_RATE_HZ <= audio.sample_rate_hz <= MAX_RATE_HZ:
        raise UnsupportedAudio(f"Audio has a rate of {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz.")
    if not 1 <= audio.channels <= channels:
        raise UnsupportedAudio(f"Audio of this encoding has 1 to {channels} channels.")
    return Sniffing(audio)


__all__ = ["Converter", "Plain", "converter_of", "split"]
