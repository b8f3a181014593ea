"""The converter contract, the converter that has nothing to do, and the threads for what takes long."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from scribewire.core.audio import AudioFormat

# Some hundred microseconds of work at most; a hop to a thread and back takes as long.
_INLINE_BYTES: Final = 16 * 1024
_POOL: Final = ThreadPoolExecutor(2, thread_name_prefix="conversion")


class Converter(ABC):
    """One socket's audio of one format. What it gives does not depend on how the audio was cut."""

    def __init__(self, audio: AudioFormat) -> None:
        self.audio = audio

    @property
    def channels(self) -> int:
        """Give how many, interleaved, there are in what it gives. It is certain with the first of that."""
        return self.audio.channels if self.audio.apart else 1

    @abstractmethod
    async def convert(self, chunk: bytes) -> bytes:
        """Give the samples that are now certain: s16le, 16 kHz.

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


def split(pcm: bytes, channels: int) -> list[bytes]:
    """Give each channel of interleaved s16le by itself."""
    if channels == 1:
        return [pcm]
    samples = array("h", pcm)
    return [samples[channel::channels].tobytes() for channel in range(channels)]


async def run_aside(work: Callable[[bytes], bytes], chunk: bytes) -> bytes:
    """Do work on a chunk, in a thread if it is long. The next chunk must wait for its end."""
    if len(chunk) <= _INLINE_BYTES:
        return work(chunk)
    return await asyncio.get_running_loop().run_in_executor(_POOL, work, chunk)
