"""Conversion: a client's audio, whatever its format, as the one format inside."""

from __future__ import annotations

from abc import ABC, abstractmethod

from scribewire.core.audio import AudioFormat
from scribewire.errors import UnsupportedAudio


class Converter(ABC):
    """One session's audio of one format. What it gives does not depend on how the audio was cut."""

    def __init__(self, audio: AudioFormat) -> None:
        self.audio = audio

    @abstractmethod
    async def convert(self, chunk: bytes) -> bytes:
        """Give the samples that are now certain: s16le, 16 kHz, mono.

        Raises UnsupportedAudio.
        """

    @abstractmethod
    async def drain(self, *, last: bool) -> bytes:
        """Give the rest of what was taken so far; more may follow unless it was the `last`.

        Raises UnsupportedAudio.
        """

    async def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what it holds; twice is once."""


class Plain(Converter):
    """Has nothing to do."""

    async def convert(self, chunk: bytes) -> bytes:
        return chunk

    async def drain(self, *, last: bool) -> bytes:
        return b""


def converter_of(audio: AudioFormat) -> Converter:
    """Give what converts a format.

    Raises UnsupportedAudio when nothing does.
    """
    if audio == AudioFormat():
        return Plain(audio)
    raise UnsupportedAudio
