"""Sockets: one WebSocket. Reads its frames into events for its channels, and writes what these say.

One task reads, one writes. Most sockets have one channel; those whose dialect keeps channels apart have a session for
each, and these are one conversation all the same: they hear the same messages, fail together, and close the socket when
the last has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from scribewire.core import events as ev
from scribewire.dialects.base import Answer, Dialect, Encoded
from scribewire.errors import ScribewireError, ServiceStopping
from scribewire.gateway.channels import Asked, Channel
from scribewire.gateway.conversion import Converter, converter_of, split
from scribewire.gateway.services import Services
from scribewire.gateway.sessions import LiveSession

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Messages waiting for a client that does not read; partials replace one another, so these are nearly all finals.
MAX_OUTBOX: Final = 1000
# What a client may take to read the last messages and the close frame.
CLOSE_WAIT_S: Final = 5.0
# Small frames arrive by the thousand in one read: let the others have their turn.
_FRAMES_A_TURN: Final = 32


@dataclass(slots=True, eq=False)
class _Waiting:
    """A channel's message that is not written yet."""

    channel: int
    message: ev.Message


class Socket:
    """One accepted WebSocket and its sessions."""

    def __init__(
        self,
        *,
        receive: Receive,
        send: Send,
        dialect: Dialect,
        live: LiveSession,
        services: Services,
        grant: ev.Grant | None,
    ) -> None:
        self._receive = receive
        self._send = send
        self._dialect = dialect
        self._live = live
        self._services = services
        self._grant = grant
        self._converter: Converter | None = None

        self._channels: list[Channel] = []
        self._started: ev.Started | None = None
        self._error: ScribewireError | None = None  # the last that was told
        self._failed = False

        self._outbox: deque[_Waiting | Answer] = deque()
        self._newest: dict[int, _Waiting] = {}  # of each channel, while nothing later of it waits
        self._written = asyncio.Event()
        self._close_codes: list[int] = []
        self._paused: set[Channel] = set()
        self._may_read = asyncio.Event()
        self._may_read.set()

        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Hold the conversation, from the accepted socket to the filed reports."""
        self._add_channel(self._live, self._grant)
        self._reader = asyncio.create_task(self._read())
        self._writer = asyncio.create_task(self._write())
        audio = self._dialect.audio
        self._widen(audio.channels if audio.apart else 1)
        for event in self._dialect.begin():
            if isinstance(event, Answer):
                self._put(event)
            else:
                self._deliver(event)
        try:
            await asyncio.wait({self._reader, self._writer}, return_when=asyncio.FIRST_COMPLETED)
            if self._closing:
                await asyncio.wait({self._writer}, timeout=CLOSE_WAIT_S)
        finally:
            self._deliver(ev.ClientGone())
            await self._release()
            for channel in self._channels:
                channel.leave()

    async def _release(self) -> None:
        tasks = [task for task in (self._reader, self._writer) if task is not None]
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a socket broke", exc_info=outcome, extra={"session_id": self._live.session_id})
        for channel in self._channels:
            await channel.release()
        await self._close_converter()

    # --- channels ----------------------------------------------------------------------------------------------------

    def _add_channel(self, live: LiveSession, grant: ev.Grant | None) -> None:
        channel = Channel(
            len(self._channels),
            live=live,
            dialect=self._dialect,
            services=self._services,
            grant=grant,
            ask=self._do,
        )
        self._channels.append(channel)

    def _widen(self, count: int) -> None:
        """Have a session for each channel. When one of them may not be, none may."""
        first = len(self._channels)
        if count <= first or self._channels[0].closed:
            return
        sessions = self._services.sessions
        try:
            if sessions.stopping:
                raise ServiceStopping
            for number in range(first, count):
                sessions.check_room()
                live = LiveSession(
                    session_id=f"{self._live.session_id}-{number}",
                    deliver=self._live.deliver,
                    dialect=self._live.dialect,
                    started_at=self._live.started_at,
                )
                # The first session spends the ticket for all of them.
                self._add_channel(live, self._grant and replace(self._grant, ticket=None))
        except ScribewireError as error:
            self._deliver(ev.Denied(error))
            return
        self._dialect.spread(count)
        if self._started is not None:
            for channel in self._channels[first:]:
                channel.deliver(self._started)

    def _deliver(self, event: ev.Event) -> None:
        """Deliver what all channels hear; of a complaint one is enough."""
        if isinstance(event, ev.Started):
            self._started = event
        for channel in self._channels[:1] if isinstance(event, ev.Misspoke) else tuple(self._channels):
            channel.deliver(event)

    @property
    def _closing(self) -> bool:
        return len(self._close_codes) == len(self._channels)

    # --- in ----------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        frames_read = 0
        while not all(channel.closed for channel in self._channels):
            if not self._may_read.is_set():
                await self._may_read.wait()
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._deliver(ev.ClientGone())
                return
            frame = message.get("bytes")
            for heard in self._dialect.hear(message["text"] if frame is None else frame):
                await self._take(heard)
            frames_read += 1
            if frames_read % _FRAMES_A_TURN == 0:
                await asyncio.sleep(0)

    async def _take(self, heard: ev.Event | Encoded | Answer) -> None:
        """Deliver what a frame says; audio of another format once it is converted, with its tail before an end."""
        match heard:
            case Answer():
                self._put(heard)
            case Encoded():
                self._hear(await self._convert(heard.chunk))
            case ev.AudioReceived():
                self._hear(heard.pcm)
            case _:
                if isinstance(heard, ev.Stopped | ev.FlushAsked) and self._converter is not None:
                    self._hear(await self._drain(last=isinstance(heard, ev.Stopped)))
                self._deliver(heard)

    def _hear(self, pcm: bytes) -> None:
        """Give each channel its own of interleaved samples; those without any hear that the client lives."""
        parts = [pcm]
        if self._converter is not None and self._converter.channels > 1:
            parts = split(pcm, self._converter.channels)
            self._widen(len(parts))
        parts += [b""] * (len(self._channels) - len(parts))
        for channel, part in zip(self._channels, parts, strict=False):
            channel.hear(part)

    async def _convert(self, chunk: bytes) -> bytes:
        audio, rest = self._dialect.audio, b""
        try:
            if self._converter is None or self._converter.audio != audio:
                if self._converter is not None:
                    rest = await self._converter.drain(last=True)
                    await self._converter.close()
                self._converter = await converter_of(audio)
            return rest + await self._converter.convert(chunk)
        except ScribewireError as error:
            self._deliver(ev.Denied(error))
            return b""

    async def _drain(self, *, last: bool) -> bytes:
        assert self._converter is not None
        try:
            return await self._converter.drain(last=last)
        except ScribewireError as error:
            self._deliver(ev.Denied(error))
            return b""

    async def _close_converter(self) -> None:
        if self._converter is not None:
            await self._converter.close()

    # --- out ---------------------------------------------------------------------------------------------------------

    def _do(self, channel: Channel, asked: Asked) -> None:
        """Do what the session of a channel asks for."""
        match asked:
            case ev.PauseReading():
                self._paused.add(channel)
                self._may_read.clear()
            case ev.ResumeReading():
                self._read_on(channel)
            case ev.CloseSocket():
                self._close_codes.append(asked.code)
                if self._closing:
                    self._written.set()
                    asyncio.get_running_loop().call_later(CLOSE_WAIT_S, self._give_up_writing)
            case ev.FileReport():
                self._read_on(channel)
                if asked.report.error_code is not None:
                    self._fail_others()
            case ev.Failed():
                self._error = asked.error
                self._say(channel.number, asked)
            case _:
                self._say(channel.number, asked)

    def _fail_others(self) -> None:
        """End the other sessions for what ended one, which was told already."""
        if self._failed or self._error is None:
            return
        self._failed = True
        for channel in self._channels:
            channel.deliver(ev.Denied(self._error))

    def _read_on(self, channel: Channel) -> None:
        self._paused.discard(channel)
        if not self._paused:
            self._may_read.set()

    def _say(self, channel: int, message: ev.Message) -> None:
        if self._failed:
            return
        newest = self._newest.get(channel)
        if newest is not None and isinstance(message, ev.Partial | ev.Quiet) and type(newest.message) is type(message):
            newest.message = message
            return
        self._newest[channel] = waiting = _Waiting(channel, message)
        self._put(waiting)

    def _put(self, waiting: _Waiting | Answer) -> None:
        if isinstance(waiting, Answer):
            self._newest.clear()  # nothing is moved past it
        self._outbox.append(waiting)
        self._written.set()
        if len(self._outbox) == MAX_OUTBOX:
            self._deliver(ev.ReaderStuck())

    async def _write(self) -> None:
        try:
            while True:
                await self._written.wait()
                self._written.clear()
                while self._outbox:
                    for text in self._spell(self._outbox.popleft()):
                        await self._send({"type": "websocket.send", "text": text})
                if self._closing:
                    code, reason = self._dialect.close_code(max(self._close_codes)), self._dialect.close_reason
                    await self._send({"type": "websocket.close", "code": code, "reason": reason})
                    return
        except OSError:  # the server's way to say that the client is gone
            self._deliver(ev.ClientGone())

    def _spell(self, waiting: _Waiting | Answer) -> Sequence[str]:
        if isinstance(waiting, Answer):
            return (waiting.text,)
        if self._newest.get(waiting.channel) is waiting:
            del self._newest[waiting.channel]
        return self._dialect.say_of(waiting.channel, waiting.message)

    def _give_up_writing(self) -> None:
        if self._writer is not None:
            self._writer.cancel()
