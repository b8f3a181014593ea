"""Lanes as the worker sees them: the nursery process, its forks, and the decoders that live in them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from scribewire.engines.base import PLAIN, Options
from scribewire.errors import EngineFailed, EngineMissing
from scribewire.worker.pipes import (
    Answer,
    AnswerReader,
    Begin,
    Born,
    ForkLane,
    Loaded,
    LoadEngine,
    OpenStream,
    spell,
)
from scribewire.worker.quanta import Decoded, Decoder, Decoders, Quantum
from scribewire.worker.spawn import NurseryChild, spawn_nursery

_log = logging.getLogger(__name__)

# A quantum is some 20 ms of work: a decoder that is silent for this long hangs.
DECODE_WAIT_S: Final = 10.0
# A fork takes 15 ms, but waits for an engine that is being loaded.
BIRTH_WAIT_S: Final = 4.0
LOAD_WAIT_S: Final = 120.0
# Forked before they are needed, so that an open costs no fork.
SPARE_LANES: Final = 1
# Used lanes wait for the next stream, each holding some 30 MiB.
IDLE_LANES: Final = 4
# Deaths of the nursery without a choice loaded in between, after which it is not started again.
MAX_DEATHS: Final = 3
_END_WAIT_S: Final = 1.0
# 64 KiB, which a Unix socket's buffer holds at once.
PIECE_WINDOWS: Final = 62


class Lane:
    """The worker's end of one lane. Asked one quantum at a time."""

    def __init__(self, sock: socket.socket, on_death: Callable[[Lane], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._sock.settimeout(0)
        self._on_death = on_death
        self._reader = AnswerReader()
        self._answer: asyncio.Future[Decoded] | None = None
        self.born = asyncio.Event()
        self.pid = 0
        self.alive = True
        self._loop.add_reader(sock, self._read)

    def open(self, resume: bytes, options: Options) -> None:
        """Begin a stream at a state; the lane's former stream is dropped."""
        self._send(OpenStream(resume, options))

    async def decode(self, quantum: Quantum) -> Decoded:
        """Decode.

        Raises EngineFailed when the lane died, or hangs and was killed.
        """
        self._answer = self._loop.create_future()
        self._send(quantum)
        try:
            async with asyncio.timeout(DECODE_WAIT_S):
                return await self._answer
        except TimeoutError as error:
            self.kill()
            raise EngineFailed("The decoder did not answer in time.") from error
        finally:
            self._answer = None

    def kill(self) -> None:
        """End the lane, whatever it does."""
        if self.alive and self.pid:
            # It cannot be another's number by now: the socket would have told of its death.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> None:
        """Close the socket, on which an idle lane ends itself. Twice is once."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self.born.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(EngineFailed("The decoder died."))
        self._on_death(self)

    def _send(self, message: OpenStream | Quantum) -> None:
        if not self.alive:
            raise EngineFailed("The decoder died.")
        try:
            # One quantum at a time is far less than a socket buffers: what does not fit means that nobody reads.
            self._sock.sendall(spell(message))
        except OSError as error:
            self.kill()
            raise EngineFailed("The decoder died.") from error

    def _read(self) -> None:
        try:
            chunk = self._sock.recv(65_536)
            answers = self._reader.feed(chunk)
        except BlockingIOError:
            return
        except (OSError, msgspec.DecodeError):
            chunk, answers = b"", []
        for answer in answers:
            self._take(answer)
        if not chunk:
            self.kill()

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Born):
            self.pid = answer.pid
            self.born.set()
        elif isinstance(answer, Decoded) and self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


class RemoteNursery:
    """The nursery as the worker sees it: started again when it dies, ended by `close`.

    `preload` may come first; then `attach`, once an event loop runs. After MAX_DEATHS in a row `on_failure` is called,
    and it is not started again.
    """

    def __init__(self, child: NurseryChild, begin: Begin) -> None:
        self._child = child
        self._begin = begin
        self._preloaded: list[str] = []
        self._loaded: dict[str, asyncio.Future[Loaded]] = {}
        self._deaths = 0
        self._closed = False
        self._on_failure: Callable[[str], None] = lambda reason: None
        self._reader = AnswerReader()
        self._tell(self._begin)

    def preload(self, choice: str) -> None:
        """Have it load a choice while there is no event loop yet to wait for that."""
        self._preloaded.append(choice)
        self._tell(LoadEngine(choice))

    def attach(self, on_failure: Callable[[str], None]) -> None:
        """Begin to listen to it."""
        self._on_failure = on_failure
        loop = asyncio.get_running_loop()
        self._loaded = {choice: loop.create_future() for choice in self._preloaded}
        loop.add_reader(self._child.control, self._read)

    async def load(self, choice: str) -> None:
        """Load a choice, and wait for it.

        Raises EngineMissing with the nursery's sentence, EngineFailed when it breaks or takes too long.
        """
        if choice not in self._loaded:
            self._ask_load(choice)
        try:
            async with asyncio.timeout(LOAD_WAIT_S):
                loaded = await asyncio.shield(self._loaded[choice])
        except TimeoutError as error:
            raise EngineFailed(f"The engine {choice} did not load in time.") from error
        if loaded.sentence:
            raise (EngineMissing if loaded.code == EngineMissing.code else EngineFailed)(loaded.sentence)

    def fork(self, choice: str, on_death: Callable[[Lane], None]) -> Lane:
        """Ask for a lane; it is there once it is born.

        Raises EngineFailed when the nursery is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._child.control, [spell(ForkLane(choice))], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise EngineFailed("The nursery is gone.") from error
        return Lane(ours, on_death)

    def close(self) -> None:
        """End it, and with it all lanes."""
        if self._closed:
            return
        self._closed = True
        self._stop()

    def _stop(self) -> None:
        with suppress(RuntimeError):  # No loop runs when a worker fails before it serves.
            asyncio.get_running_loop().remove_reader(self._child.control)
        self._child.control.close()
        self._child.lifeline.close()
        self._child.process.kill()
        self._child.process.wait(_END_WAIT_S)

    def _ask_load(self, choice: str) -> None:
        future = self._loaded.get(choice)
        if future is None or future.done():
            self._loaded[choice] = asyncio.get_running_loop().create_future()
        self._tell(LoadEngine(choice))

    def _tell(self, message: Begin | LoadEngine) -> None:
        # A nursery that died meanwhile is noticed by `_read`, which tells the next one.
        with suppress(OSError):
            self._child.control.sendall(spell(message))

    def _read(self) -> None:
        try:
            chunk = self._child.control.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        for answer in self._reader.feed(chunk):
            if isinstance(answer, Loaded) and not self._loaded[answer.choice].done():
                self._deaths = 0
                self._loaded[answer.choice].set_result(answer)
        if not chunk and not self._closed:
            self._restart()

    def _restart(self) -> None:
        self._stop()
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            self._closed = True
            self._on_failure("The process that loads the engines keeps dying.")
            return
        _log.error("The nursery died and is started again", extra={"deaths": self._deaths})
        self._child = spawn_nursery()
        self._reader = AnswerReader()
        asyncio.get_running_loop().add_reader(self._child.control, self._read)
        self._tell(self._begin)
        for choice in self._loaded:
            self._ask_load(choice)


class LaneDecoder(Decoder):
    """A lane while a stream has it."""

    def __init__(self, lane: Lane, give_back: Callable[[Lane], None]) -> None:
        self.lane = lane
        self._give_back: Callable[[Lane], None] | None = give_back

    def close(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back(self.lane)


class LaneDecoders(Decoders):
    """The lanes of one choice: one spare forked ahead, used ones kept for the next stream."""

    batch = 1
    piece_windows = PIECE_WINDOWS
    apart = True

    def __init__(self, nursery: RemoteNursery, choice: str) -> None:
        self._nursery = nursery
        self._choice = choice
        self._idle: deque[Lane] = deque()
        self._taken: dict[Lane, LaneDecoder] = {}
        self._closed = False

    async def load(self) -> None:
        await self._nursery.load(self._choice)
        self._keep_spare()

    async def open(self, resume: bytes = b"", options: Options = PLAIN) -> LaneDecoder:
        try:
            async with asyncio.timeout(BIRTH_WAIT_S):
                await self._nursery.load(self._choice)
                lane = self._idle.popleft() if self._idle else self._fork()
                await self._born(lane)
        except TimeoutError as error:
            raise EngineFailed("No decoder could be forked in time.") from error
        lane.open(resume, options)
        self._keep_spare()
        decoder = self._taken[lane] = LaneDecoder(lane, self._take_back)
        return decoder

    async def decode(self, work: Sequence[tuple[Decoder, Quantum]]) -> list[Decoded]:
        [(decoder, quantum)] = work
        assert isinstance(decoder, LaneDecoder), "a decoder of another kind"
        return [await decoder.lane.decode(quantum)]

    async def close(self) -> None:
        self._closed = True
        for lane in list(self._idle):
            lane.end()

    def _fork(self) -> Lane:
        return self._nursery.fork(self._choice, self._bury)

    async def _born(self, lane: Lane) -> None:
        try:
            await lane.born.wait()
        except asyncio.CancelledError:
            lane.end()
            raise
        if not lane.alive:
            raise EngineFailed("The decoder died.")

    def _keep_spare(self) -> None:
        while not self._closed and len(self._idle) < SPARE_LANES:
            try:
                self._idle.append(self._fork())
            except EngineFailed:
                return  # A nursery that is being started again; the next open asks anew.

    def _take_back(self, lane: Lane) -> None:
        if not lane.alive:
            return
        del self._taken[lane]
        if self._closed or len(self._idle) >= IDLE_LANES:
            lane.end()
        else:
            self._idle.append(lane)

    def _bury(self, lane: Lane) -> None:
        if lane in self._idle:
            self._idle.remove(lane)
        decoder = self._taken.pop(lane, None)
        if decoder is not None and decoder.on_loss is not None:
            decoder.on_loss()
