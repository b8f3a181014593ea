"""Demuxing: compressed audio in a container, by PyAV, which pulls: each session's decoder has a thread of its own.

It is told which container it is. Left to guess, the library would read seconds first, and take a playlist, whose
author could have it open files and addresses of the service's own network.
"""

from __future__ import annotations

import asyncio
import logging
import queue
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Final

import av

from scribewire.core.audio import MAX_CHANNELS, SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFormat
from scribewire.errors import UnsupportedAudio
from scribewire.gateway.conversion.base import Converter

log = logging.getLogger(__name__)

# A frame of the socket is decoded in a second or two.
_WORK_WAIT_S: Final = 30.0
# Few bytes may be many hours of silence: no codec of speech needs less than 32 bytes a second for long, and no frame
# of the socket, at most 1 MiB, holds more than a quarter of an hour of speech.
_MIN_BYTES_PER_S: Final = 32
_HEAD_START_S: Final = 60
_MAX_STEP_S: Final = 900
_SECOND_BYTES: Final = SAMPLE_RATE_HZ * SAMPLE_BYTES
# What a container may hold before its sound, or beside it, from one piece of sound to the next: the index of a long
# MP4, the picture of a song, the frames of a film.
_MAX_SILENT_BYTES: Final = 16 * 1024 * 1024
# Packets on end; of the shortest kind a quarter of a second.
_MAX_BROKEN: Final = 100
# The least that is probed: a second of audio would be waiting for its end.
_OPTIONS: Final = {"probesize": "2048", "analyzeduration": "0"}


class Demuxed(Converter):
    """What a container holds. Each chunk is decoded as far as it goes before its answer is given."""

    def __init__(self, audio: AudioFormat, container: str) -> None:
        super().__init__(audio)
        self._decoder = _Decoder(container, apart=audio.apart)

    @property
    def channels(self) -> int:
        return self._decoder.channels

    async def convert(self, chunk: bytes) -> bytes:
        return await self._decoder.step(chunk) if chunk else b""

    async def drain(self, *, last: bool) -> bytes:
        # A decoder that was drained could not go on: what it holds back stays there until the end.
        return await self._decoder.step(b"") if last else b""

    async def close(self) -> None:
        await self._decoder.end()


@dataclass(frozen=True, slots=True)
class _Step:
    """What one chunk gave."""

    pcm: bytes
    error: UnsupportedAudio | None = None
    last: bool = False


class _Decoder:
    """A thread that decodes. Each chunk that it is given is answered by one step, the empty one by the last."""

    def __init__(self, container: str, *, apart: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread: Thread | None = None
        self._chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()  # never more than two: one, and the end
        self._steps: asyncio.Queue[_Step] = asyncio.Queue()
        self._over = False
        self._left = False
        # The thread's own from here on.
        self._container = container
        self._resampler = _Resampler(apart=apart)
        self._held = memoryview(b"")
        self._at_end = False
        self._taken_bytes = 0
        self._silent_bytes = 0
        self._given_bytes = 0
        self._pcm: list[bytes] = []
        self._step_bytes = 0
        self._broken = 0

    @property
    def channels(self) -> int:
        """Give how many there are in the samples so far, 1 before there are any."""
        return self._resampler.channels

    async def step(self, chunk: bytes) -> bytes:
        """Decode as far as a chunk goes. After the last step there is nothing.

        Raises UnsupportedAudio.
        """
        if self._over:
            return b""
        if self._thread is None:
            self._thread = Thread(target=self._run, daemon=True, name="demuxer")
            self._thread.start()
        self._chunks.put(chunk)
        try:
            async with asyncio.timeout(_WORK_WAIT_S):
                step = await self._steps.get()
        except TimeoutError as error:
            raise UnsupportedAudio("The audio takes too long to decode.") from error
        self._over = step.last
        if step.error is not None:
            raise step.error
        return step.pcm

    async def end(self) -> None:
        """Let the thread end, whatever it is at."""
        if self._thread is None or self._over:
            return
        self._left = True
        self._chunks.put(b"")
        try:
            async with asyncio.timeout(_WORK_WAIT_S):
                while not self._over:
                    self._over = (await self._steps.get()).last
        except TimeoutError:
            log.error("a decoder does not end")

    # --- in the thread -----------------------------------------------------------------------------------------------

    def read(self, count: int) -> bytes:
        """Give the library at most `count` bytes (more would be written past its buffer), none at the end."""
        while not self._held and not self._at_end:
            if self._taken_bytes:
                self._answer()
            self._take(self._chunks.get())
        part = bytes(self._held[:count])
        self._held = self._held[len(part) :]
        return part

    def _take(self, chunk: bytes) -> None:
        self._held = memoryview(chunk)
        self._at_end = not chunk
        self._taken_bytes += len(chunk)
        self._step_bytes = 0
        self._silent_bytes += len(chunk)
        if self._silent_bytes > _MAX_SILENT_BYTES:
            # The library may read on before it fails.
            self._held, self._at_end = memoryview(b""), True
            raise UnsupportedAudio(f"The {self._container} container holds too much that is no audio.")

    def _run(self) -> None:
        error: UnsupportedAudio | None = UnsupportedAudio(f"The {self._container} audio cannot be decoded.")
        try:
            self._decode()
            error = None
        except UnsupportedAudio as refusal:
            error = refusal
        except (av.FFmpegError, ValueError) as failure:  # PyAV's own checks raise the latter
            assert error is not None
            error.__cause__ = failure
        finally:
            self._answer(error, last=True)

    def _decode(self) -> None:
        resampler = self._resampler
        with av.open(self, mode="r", format=self._container, options=_OPTIONS, metadata_errors="ignore") as file:
            if not file.streams.audio:
                raise UnsupportedAudio(f"The {self._container} container holds no audio.")
            for packet in file.demux(file.streams.audio[0]):
                if self._left:
                    return
                for frame in self._decode_packet(packet):
                    for block in resampler.push(frame):
                        self._keep(block)
        for block in resampler.drain():
            self._keep(block)

    def _decode_packet(self, packet: av.Packet[av.AudioStream]) -> list[av.AudioFrame]:
        """Pass over a packet that is broken, as lines and radios break some, but not over many on end."""
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self._broken += 1
            if self._broken > _MAX_BROKEN:
                raise
            return []
        self._broken = 0 if frames else self._broken
        return frames

    def _keep(self, block: av.AudioFrame) -> None:
        pcm = bytes(block.planes[0])[: block.samples * SAMPLE_BYTES * self.channels]
        self._pcm.append(pcm)
        self._silent_bytes = 0
        self._given_bytes += len(pcm)
        self._step_bytes += len(pcm)
        allowed_s = _HEAD_START_S + self._taken_bytes / _MIN_BYTES_PER_S
        if self._step_bytes > _MAX_STEP_S * _SECOND_BYTES or self._given_bytes > allowed_s * _SECOND_BYTES:
            raise UnsupportedAudio("The audio decodes to more than it can hold.")

    def _answer(self, error: UnsupportedAudio | None = None, *, last: bool = False) -> None:
        step = _Step(b"".join(self._pcm), error, last)
        self._pcm = []
        with suppress(RuntimeError):  # the loop has ended, and its session with it
            self._loop.call_soon_threadsafe(self._steps.put_nowait, step)


class _Resampler:
    """PyAV's, begun anew where the audio's format changes, as it may from one song of a radio to the next.

    What it gives has one channel, or, `apart`, as many as the audio begins with.
    """

    def __init__(self, *, apart: bool) -> None:
        self.channels = 1
        self._layout: av.AudioLayout | None = None if apart else av.AudioLayout("mono")
        self._resampler: av.AudioResampler | None = None
        self._format: tuple[str, str, int] | None = None

    def push(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """Give what is now certain: s16, 16 kHz.

        Raises UnsupportedAudio when there are more channels than may be kept apart.
        """
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        rest: list[av.AudioFrame] = []
        if self._resampler is None or found != self._format:
            rest = self.drain()
            layout = self._layout = self._layout or frame.layout
            self.channels = layout.nb_channels
            if self.channels > MAX_CHANNELS:
                raise UnsupportedAudio(f"The audio has more than {MAX_CHANNELS} channels.")
            self._resampler = av.AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE_HZ)
            self._format = found
        return rest + self._resampler.resample(frame)

    def drain(self) -> list[av.AudioFrame]:
        """Give the rest."""
        return self._resampler.resample(None) if self._resampler is not None else []
