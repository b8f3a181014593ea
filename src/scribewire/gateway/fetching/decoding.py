"""Decoding: the gateway's side of one decoder process."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import Final

from scribewire.errors import FetchFailed, UnsupportedAudio
from scribewire.gateway.tasks import within
from scribewire.lifeline import Lifeline

# Address space: measured, 210 MiB are mapped once PyAV is loaded, and a decoder of sound adds some ten.
_MEMORY_BYTES: Final = 512 * 1024 * 1024
# Measured, a second of audio takes 1 ms, with 720p video beside it 9.
_CPU_SHARE: Final = 0.05
_CPU_LEAST_S: Final = 30
_END_WAIT_S: Final = 5.0
_READ_BYTES: Final = 64 * 1024
# All that the interpreter may need. The others may hold secrets of ours.
_PASSED: Final = ("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")


class Decoder:
    """One decoder. Bytes of media in, samples out; both wait for the other side."""

    def __init__(self, process: Process, lifeline: Lifeline) -> None:
        self._process = process
        self._lifeline = lifeline
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self._gave_any = False

    @classmethod
    async def spawn(cls, *, audio_s: float) -> Decoder:
        """Start one that may take as much CPU time as that much audio is worth. Raises FetchFailed."""
        lifeline = Lifeline()
        cpu_s = _CPU_LEAST_S + round(audio_s * _CPU_SHARE)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "scribewire.gateway.fetching.decoder"),
                *map(str, (lifeline.read_fd, _MEMORY_BYTES, cpu_s)),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,  # libav talks, and what it says is of a stranger's making
                env={name: os.environ[name] for name in _PASSED if name in os.environ},
                pass_fds=(lifeline.read_fd,),
                start_new_session=True,
            )
        except BaseException as error:  # also a client that leaves meanwhile
            lifeline.close()
            if isinstance(error, OSError):
                raise FetchFailed("The source cannot be decoded at the moment.") from error
            raise
        return cls(process, lifeline)

    @property
    def pid(self) -> int:
        """Give the number of the process."""
        return self._process.pid

    async def feed(self, media: bytes) -> None:
        """Give it the next bytes. One that has ended takes them in vain."""
        # uvloop tells of a pipe that broke since the last turn of the loop by a RuntimeError.
        if self._stdin.is_closing():
            return
        with suppress(ConnectionError):
            self._stdin.write(media)
            await self._stdin.drain()

    def end(self) -> None:
        """Say that no more bytes follow."""
        self._stdin.close()

    async def read(self, most_bytes: int) -> bytes:
        """Give samples, nothing at the end. Raises UnsupportedAudio when it ended before its time."""
        pcm = await self._stdout.read(most_bytes)
        if pcm:
            self._gave_any = True
            return pcm
        if not await within(_END_WAIT_S, self._process.wait()):
            return b""
        if self._gave_any:
            raise UnsupportedAudio("The source cannot be decoded any further.")
        raise UnsupportedAudio("The source holds no audio that can be decoded.")

    async def close(self) -> None:
        """Kill it."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._lifeline.close()  # now: what follows may be broken off
        self._stdin.close()
        while await self._stdout.read(_READ_BYTES):
            pass  # a pipe that is never read to its end is never closed
        await self._process.wait()
