"""Where audio comes from: a file, bytes, an iterator of either kind, the microphone; all of it as blocks of bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from os import PathLike
from typing import Any, Final

from scribewire.client.media import decode_audio, read_audio
from scribewire.core.audio import SAMPLE_RATE_HZ, samples_of_ms
from scribewire.errors import ExtraMissing, ScribewireError

Audio = bytes | bytearray | memoryview
_BLOCK_BYTES: Final = 32_000
_MICROPHONE_BLOCK_SAMPLES: Final = samples_of_ms(50)
# Five minutes, as a session keeps: longer than a service takes to start, in which nobody reads.
_MOST_WAITING_BLOCKS: Final = 6000


class Microphone:
    """This machine's microphone, or the input device of that name or number, until `close` or the end of the loop.

    Iterating raises ExtraMissing when the extra `mic` is not installed.
    """

    def __init__(self, device: str | int | None = None) -> None:
        self._device = device
        self._blocks: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING_BLOCKS)

    def close(self) -> None:
        """End the audio: what was spoken up to now is still transcribed. May be called from a signal handler."""
        self._put(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()

        def take(block: Any, _samples: int, _times: Any, _status: Any) -> None:  # in a thread of the sound system's
            loop.call_soon_threadsafe(self._put, bytes(block))

        with _open_microphone(self._device, take):
            while (block := await self._blocks.get()) is not None:
                yield block

    def _put(self, block: bytes | None) -> None:
        if self._blocks.full():
            self._blocks.get_nowait()
        self._blocks.put_nowait(block)


Source = str | PathLike[str] | Audio | AsyncIterable[bytes] | Iterable[bytes] | Microphone


def is_live(source: Source) -> bool:
    """Say whether a source goes on by itself, so that it must never be made to wait."""
    return isinstance(source, Microphone)


async def audio_of(source: Source) -> AsyncIterator[bytes]:
    """Give a source's audio in blocks of any size: PCM, s16le, 16 kHz, mono, or a WAV stream of that.

    A path is read and decoded as media.read_audio does, and so are bytes that hold a container. A plain iterator runs
    in a thread, where it may block.
    """
    if isinstance(source, str | PathLike):
        blocks = read_audio(str(source))
    elif isinstance(source, Audio):
        blocks = decode_audio(bytes(source))
    elif isinstance(source, AsyncIterable):
        blocks = aiter(source)
    else:
        blocks = _in_thread(iter(source))
    async for block in blocks:
        yield block


async def _in_thread(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block


def load_sounddevice() -> Any:
    """Give the library of microphones.

    Raises ExtraMissing without it, ScribewireError without what it needs of the system.
    """
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise ExtraMissing("The microphone", "mic") from error
    except OSError as error:  # it is found, but the system's library is not
        raise ScribewireError(
            "The microphone needs PortAudio: apt install libportaudio2, or brew install portaudio"
        ) from error
    return sounddevice


def _open_microphone(device: str | int | None, take: Any) -> Any:
    sounddevice = load_sounddevice()
    try:
        return sounddevice.RawInputStream(
            samplerate=SAMPLE_RATE_HZ,
            channels=1,
            dtype="int16",
            blocksize=_MICROPHONE_BLOCK_SAMPLES,
            device=device,
            callback=take,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ScribewireError(f"The microphone cannot be opened: {error}.") from error
