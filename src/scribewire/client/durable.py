"""A durable session: the shell of the core. One task opens sockets, each with a reader and a writer of its own."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from scribewire.client.core import Course
from scribewire.client.wire import Event
from scribewire.core.audio import samples_of_s
from scribewire.errors import Disconnected, ScribewireError

# What may wait to be sent before a source is made to wait: enough to fill the link's window and the socket.
_MOST_BEHIND_SAMPLES: Final = samples_of_s(10)
# However much is given at a time, no more than this is kept without having waited.
_PIECE_BYTES: Final = 32_000
# Events that may wait for the caller before the socket is read no further; the service drops who never reads.
_MOST_WAITING: Final = 256
_ABNORMAL: Final = 1006

Connect = Callable[[], Awaitable[ClientConnection]]


class DurableSession:
    """One session over as many sockets as it takes. Send from one task and iterate in another.

    Iteration ends once all is handled, and raises what ended the session otherwise.
    """

    def __init__(self, course: Course, connect: Connect) -> None:
        self._course = course
        self._connect = connect
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()  # for who iterates: events, or the end
        self._taken = asyncio.Event()  # for the reader: there is room for events
        self._work = asyncio.Event()  # for the writer: there may be a frame to send
        self._room = asyncio.Event()  # for who sends: audio was sent
        self._failure: BaseException | None = None
        self._driver = asyncio.create_task(self._drive())
        self._driver.add_done_callback(self._wake_all)

    async def send(self, audio: bytes, *, live: bool = False) -> None:
        """Take PCM or a WAV stream, s16le, 16 kHz, mono, cut anywhere.

        Waits while much waits to be sent, as during an outage; `live` audio never waits, and is kept within the bound.
        Raises what ended the session, and UnsupportedAudio for a WAV of another format.
        """
        for at in range(0, len(audio), _PIECE_BYTES):
            self._check()
            self._course.hear(audio[at : at + _PIECE_BYTES])
            self._work.set()
            while not live and self._course.behind_samples > _MOST_BEHIND_SAMPLES:
                self._room.clear()
                await self._room.wait()
                self._check()

    async def flush(self, mark: str | int | None = None) -> None:
        """Ask for the finals of all that was sent; Flushed with this mark follows them."""
        self._check()
        self._course.flush(mark)
        self._work.set()

    async def stop(self) -> None:
        """Ask for the rest; the iteration ends after it."""
        self._course.stop()
        self._work.set()

    def fail(self, error: BaseException) -> None:
        """End the session with an error of the caller's, which the iteration raises."""
        self._failure = self._failure or error
        self._driver.cancel()

    async def close(self) -> None:
        """Leave, whatever is missing."""
        self._driver.cancel()
        await asyncio.gather(self._driver, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._events:
                yield self._events.popleft()
                self._taken.set()
            if self._driver.done():
                self._check()
                return
            self._news.clear()
            await self._news.wait()

    # --- the driver --------------------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        while not self._course.is_over:
            await asyncio.sleep((self._course.deadline or 0.0) - _now())
            socket = self._course.connect()
            try:
                connection = await self._connect()
            except ScribewireError as error:
                self._course.failed(socket, error, _now(), _chance())
                continue
            async with connection:
                self._course.opened(socket, _now())
                await self._converse(socket, connection)

    async def _converse(self, socket: int, connection: ClientConnection) -> None:
        """Speak on a socket until it is of no use any more."""
        self._work.set()
        writing = asyncio.create_task(self._write(socket, connection))
        try:
            while self._course.is_present(socket):
                await self._read(socket, connection)
                self._tell()
                await self._await_taken()
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _read(self, socket: int, connection: ClientConnection) -> None:
        course = self._course
        try:
            async with asyncio.timeout_at(course.deadline):
                text = await connection.recv()
        except TimeoutError:
            course.wake(_now(), _chance())
        except ConnectionClosed:
            code = connection.close_code or _ABNORMAL
            course.closed(socket, code, connection.close_reason or "", _now(), _chance())
        else:
            course.receive(socket, text, _now(), _chance())
            self._work.set()  # `listening` lets audio go

    async def _write(self, socket: int, connection: ClientConnection) -> None:
        while True:
            self._work.clear()
            while (frame := self._course.next_frame(socket)) is not None:
                self._room.set()
                self._tell()
                try:
                    await connection.send(frame)
                except ConnectionClosed:
                    return  # the reader learns why
            await self._work.wait()

    def _tell(self) -> None:
        self._events += self._course.take_events()
        if self._events:
            self._news.set()

    async def _await_taken(self) -> None:
        while len(self._events) > _MOST_WAITING:
            self._taken.clear()
            await self._taken.wait()

    # --- the end -----------------------------------------------------------------------------------------------------

    def _wake_all(self, driver: asyncio.Task[None]) -> None:
        self._failure = self._failure or self._course.error
        if not driver.cancelled() and driver.exception() is not None:
            self._failure = driver.exception()
        for event in (self._news, self._room):
            event.set()

    def _check(self) -> None:
        if not self._driver.done() and self._failure is None:
            return
        if self._failure is not None:
            raise self._failure
        if not self._course.is_over:
            raise Disconnected("The session was left before its end.")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads clients, guards nothing
