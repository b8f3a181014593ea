"""The worker's end of a link: one gateway, what it asks, and whether it still lives."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

from scribewire.errors import LinkBroken, ScribewireError
from scribewire.frames import (
    VERSION,
    Abort,
    Audio,
    Beat,
    Drain,
    Finish,
    Flush,
    Frame,
    FrameReader,
    Hello,
    Load,
    Open,
    Opened,
    Refused,
    Welcome,
    encode,
)
from scribewire.worker.decoding import Decoding, LiveStream

_log = logging.getLogger(__name__)

# A gateway beats every 0.4 s; one that is silent for this long is gone, and its slots are wanted.
SILENT_S: Final = 10.0
# Results of one stream are some 2 kB a second: a gateway with this much unread does not read.
MAX_UNREAD_BYTES: Final = 8 * 1024 * 1024


class Host(Protocol):
    """What a link needs of its worker."""

    name: str
    secret: str | None

    @property
    def decoding(self) -> Decoding | None:
        """Give the live streams, once the worker is ready."""

    async def admit(self, opened: Open, link: GatewayLink) -> LiveStream:
        """Give the stream a slot and a decoder. Raises a leaf of ours that says why not."""

    def report(self) -> Load:
        """Say how the worker is."""

    def drain(self, reason: str) -> None:
        """Take no more streams, and end with the last. Twice is once."""


class GatewayLink(asyncio.Protocol):
    """One connection, from its acceptance to its loss. With it end its streams."""

    def __init__(self, host: Host, tasks: asyncio.TaskGroup, on_lost: Callable[[GatewayLink], None]) -> None:
        self._host = host
        self._tasks = tasks
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._greeted = False
        self._heard = self._loop.time()
        self._streams: dict[int, LiveStream] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self.lost = asyncio.Event()

    # --- what the worker asks ----------------------------------------------------------------------------------------

    def say(self, frames: Sequence[Frame]) -> None:
        """Send frames, once greeted. A gateway that does not read is dropped."""
        transport = self._transport
        if transport is None or transport.is_closing() or not self._greeted:
            return
        transport.write(b"".join(map(encode, frames)))
        if transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            _log.warning("A gateway does not read and is dropped", extra={"worker": self._host.name})
            transport.abort()

    def forget(self, number: int) -> None:
        """Drop the number of a stream that ended."""
        self._streams.pop(number, None)

    def check(self) -> None:
        """Drop a gateway that fell silent, or never spoke."""
        if self._transport is not None and self._loop.time() - self._heard > SILENT_S:
            self._transport.abort()

    def close(self) -> None:
        """Send what is unsent, and close."""
        if self._transport is not None:
            self._transport.close()

    # --- the transport -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and wait for the greeting."""
        # Not an instance of asyncio.Transport on uvloop, but all that it promises.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Carry out the frames that `data` completes."""
        self._heard = self._loop.time()
        try:
            for frame in self._reader.feed(data):
                self._take(frame)
        except LinkBroken as error:
            _log.warning("A gateway was dropped", extra={"worker": self._host.name, "reason": str(error)})
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free all that the gateway had."""
        for opening in tuple(self._opening.values()):
            opening.cancel()
        for stream in tuple(self._streams.values()):
            self._end(stream)
        self.lost.set()
        self._on_lost(self)

    # --- what the gateway says ---------------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if not self._greeted:
            self._greet(frame)
        elif isinstance(frame, Audio | Flush | Finish):
            self._take_of_stream(frame)
        elif isinstance(frame, Open):
            self._open(frame)
        elif isinstance(frame, Abort):
            self._abort(frame.stream)
        elif isinstance(frame, Drain):
            self._host.drain("It was told to.")
        elif not isinstance(frame, Beat):
            raise LinkBroken(f"{type(frame).__name__} is not for a gateway to say.")

    def _greet(self, frame: Frame) -> None:
        if not isinstance(frame, Hello):
            raise LinkBroken("A gateway spoke before its greeting.")
        if frame.version != VERSION:
            raise LinkBroken(f"A gateway speaks version {frame.version} of the link, not {VERSION}.")
        secret = self._host.secret
        if secret is not None and not hmac.compare_digest(secret.encode(), frame.secret.encode()):
            raise LinkBroken("A gateway does not know the secret.")
        self._greeted = True
        self.say([Welcome(VERSION, self._host.name, os.getpid()), self._host.report()])

    def _take_of_stream(self, frame: Audio | Flush | Finish) -> None:
        stream, decoding = self._streams.get(frame.stream), self._host.decoding
        if stream is None or decoding is None:
            return  # The stream broke, and the gateway does not know yet.
        try:
            if isinstance(frame, Audio):
                decoding.feed(stream, frame.pcm)
            else:
                decoding.flush(stream, frame)
        except LinkBroken as error:
            decoding.break_(stream, str(error))

    def _open(self, frame: Open) -> None:
        if frame.stream in self._streams or frame.stream in self._opening:
            raise LinkBroken("A stream was opened twice.")
        self._opening[frame.stream] = self._tasks.create_task(self._open_stream(frame))

    async def _open_stream(self, frame: Open) -> None:
        try:
            stream = await self._host.admit(frame, self)
        except ScribewireError as error:
            self.say([Refused(frame.stream, error.code, str(error))])
        else:
            self._streams[frame.stream] = stream
            self.say([Opened(frame.stream)])
        finally:
            del self._opening[frame.stream]

    def _abort(self, number: int) -> None:
        if number in self._opening:
            self._opening[number].cancel()
        elif number in self._streams:
            self._end(self._streams[number])

    def _end(self, stream: LiveStream) -> None:
        decoding = self._host.decoding
        if decoding is not None:
            decoding.end(stream)
