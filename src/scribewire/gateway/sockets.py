"""Sockets: the shell of the session machine. Reads the socket and the link into events, carries out its commands.

One task reads, one writes, a timer wakes; each gives its event to `deliver`, which runs the machine and carries out
what it says before it returns. So there is one order of events and no lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from scribewire import frames
from scribewire.core import events as ev
from scribewire.core.session import Session
from scribewire.core.transitions import State
from scribewire.dialects.base import Answer, Dialect, Encoded
from scribewire.errors import NotAuthenticated, ScribewireError
from scribewire.gateway.conversion import Converter, converter_of
from scribewire.gateway.lag import LagMeter
from scribewire.gateway.link import RemoteStream, StreamRequest
from scribewire.gateway.services import Services
from scribewire.gateway.sessions import LiveSession
from scribewire.gateway.shares import Showing

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


class Socket:
    """One accepted WebSocket and its session."""

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

        self._loop = asyncio.get_running_loop()
        limits = services.session_limits
        if not dialect.keyed_later:
            # Whoever waits here has shown a key: a bridge may open its socket long before somebody speaks.
            limits = replace(limits, start_wait_s=limits.idle_s)
        self._machine = Session(limits, now=self._loop.time())
        self._inbox: deque[ev.Event] = deque()
        self._delivering = False
        self._timer: asyncio.Handle | None = None
        self._timer_at_s = 0.0

        self._outbox: deque[ev.Message | Answer] = deque()
        self._written = asyncio.Event()
        self._close_code: int | None = None
        self._may_read = asyncio.Event()
        self._may_read.set()

        self._remote: RemoteStream | None = None
        self._task: asyncio.Task[None] | None = None  # admission, then each opening: never two at once
        self._showing: Showing | None = None
        self._lag = LagMeter()
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Hold the conversation, from the accepted socket to the filed report."""
        self._live.deliver = self.deliver
        self._services.sessions.enter(self._live)
        self._reader = asyncio.create_task(self._read())
        self._writer = asyncio.create_task(self._write())
        for event in self._dialect.begin():
            if isinstance(event, Answer):
                self._put(event)
            else:
                self.deliver(event)
        self._set_timer()
        try:
            await asyncio.wait({self._reader, self._writer}, return_when=asyncio.FIRST_COMPLETED)
            if self._close_code is not None:
                await asyncio.wait({self._writer}, timeout=CLOSE_WAIT_S)
        finally:
            self.deliver(ev.ClientGone())
            await self._release()
            self._services.sessions.leave(self._live)
            if self._showing is not None:
                self._showing.end()

    async def _release(self) -> None:
        tasks = [task for task in (self._reader, self._writer, self._task) if task is not None]
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a session broke", exc_info=outcome, extra={"session_id": self._live.session_id})
        await self._close_converter()
        if self._timer is not None:
            self._timer.cancel()

    # --- events in ---------------------------------------------------------------------------------------------------

    def deliver(self, event: ev.Event) -> None:
        """Run the machine and carry out its commands. An event that a command gives rise to waits its turn."""
        self._inbox.append(event)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._inbox:
                for command in self._machine.receive(self._inbox.popleft(), self._loop.time()):
                    self._carry_out(command)
        finally:
            self._delivering = False
        self._set_timer()

    def _set_timer(self) -> None:
        """Wake at the deadline. One that moved later is left to fire early: cheaper than a timer a frame."""
        deadline = self._machine.deadline
        if deadline is not None and (self._timer is None or deadline < self._timer_at_s):
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at_s = self._loop.call_at(deadline, self._wake), deadline

    def _wake(self) -> None:
        self._timer = None
        deadline = self._machine.deadline
        if deadline is not None and deadline <= self._loop.time():
            self.deliver(ev.Woken())
        else:
            self._set_timer()

    async def _read(self) -> None:
        frames_read = 0
        while self._machine.state is not State.CLOSED:
            if not self._may_read.is_set():
                await self._may_read.wait()
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self.deliver(ev.ClientGone())
                return
            frame = message.get("bytes")
            for heard in self._dialect.hear(message["text"] if frame is None else frame):
                await self._take(heard)
            frames_read += 1
            if frames_read % _FRAMES_A_TURN == 0:
                await asyncio.sleep(0)

    async def _take(self, heard: ev.Event | Encoded | Answer) -> None:
        """Deliver what a frame says; audio of another format once it is converted, with its tail before an end."""
        if isinstance(heard, Answer):
            self._put(heard)
            return
        if isinstance(heard, Encoded):
            heard = ev.AudioReceived(await self._convert(heard.chunk))
        elif isinstance(heard, ev.Stopped | ev.FlushAsked) and self._converter is not None:
            self.deliver(ev.AudioReceived(await self._drain(last=isinstance(heard, ev.Stopped))))
        self.deliver(heard)
        if isinstance(heard, ev.AudioReceived):
            self._live.received_samples = self._machine.kept.end_sample
            self._lag.arrived(self._live.received_samples, self._loop.time())

    async def _convert(self, chunk: bytes) -> bytes:
        audio = self._dialect.audio
        try:
            if self._converter is None or self._converter.audio != audio:
                await self._close_converter()
                self._converter = converter_of(audio)
            return await self._converter.convert(chunk)
        except ScribewireError as error:
            self.deliver(ev.Denied(error))
            return b""

    async def _drain(self, *, last: bool) -> bytes:
        assert self._converter is not None
        try:
            return await self._converter.drain(last=last)
        except ScribewireError as error:
            self.deliver(ev.Denied(error))
            return b""

    async def _close_converter(self) -> None:
        if self._converter is not None:
            await self._converter.close()

    def _hear(self, stream: int, frame: frames.Frame) -> None:
        """Take what the link says of a stream."""
        event = _translate(stream, frame)
        if isinstance(event, ev.PartialHeard):
            lag_s = self._live.lag_s = self._lag.lag_s(event.sample, self._loop.time())
            if lag_s is not None:
                self._services.metrics.partial_lag_s.observe(lag_s)
        if event is not None:
            self.deliver(event)

    # --- commands out ------------------------------------------------------------------------------------------------

    def _carry_out(self, command: ev.Command) -> None:  # noqa: C901 - one line a command
        match command:
            case ev.FeedStream():
                if self._remote is not None:
                    self._remote.feed(command.pcm)
            case ev.Final():
                if self._showing is not None:
                    self._showing.tell(command)
                self._put(command)
            case ev.Partial() | ev.Quiet():
                if self._showing is not None and isinstance(command, ev.Partial):
                    self._showing.tell(command)
                if self._outbox and type(self._outbox[-1]) is type(command):
                    self._outbox[-1] = command
                else:
                    self._put(command)
            case ev.Admit():
                self._task = asyncio.create_task(self._admit(command))
            case ev.OpenStream():
                self._task = asyncio.create_task(self._open(command))
            case ev.FlushStream():
                if self._remote is not None:
                    self._remote.flush(command.mark)
            case ev.FinishStream():
                if self._remote is not None:
                    self._remote.finish()
            case ev.AbortStream():
                self._abort()
            case ev.PauseReading():
                self._may_read.clear()
            case ev.ResumeReading():
                self._may_read.set()
            case ev.CloseSocket():
                self._close_code = command.code
                self._written.set()
                self._loop.call_later(CLOSE_WAIT_S, self._give_up_writing)
            case ev.FileReport():
                self._may_read.set()
                self._services.sessions.file(self._live, command.report)
            case _:
                self._put(command)

    def _put(self, message: ev.Message | Answer) -> None:
        self._outbox.append(message)
        self._written.set()
        if len(self._outbox) == MAX_OUTBOX:
            self.deliver(ev.ReaderStuck())

    async def _write(self) -> None:
        try:
            while True:
                await self._written.wait()
                self._written.clear()
                while self._outbox:
                    message = self._outbox.popleft()
                    for text in (message.text,) if isinstance(message, Answer) else self._dialect.say(message):
                        await self._send({"type": "websocket.send", "text": text})
                if self._close_code is not None:
                    code, reason = self._dialect.close_code(self._close_code), self._dialect.close_reason
                    await self._send({"type": "websocket.close", "code": code, "reason": reason})
                    return
        except OSError:  # the server's way to say that the client is gone
            self.deliver(ev.ClientGone())

    def _give_up_writing(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    async def _admit(self, command: ev.Admit) -> None:
        try:
            if self._grant is None:
                if command.options.key is None:
                    raise NotAuthenticated
                origin = self._dialect.request.headers.get("origin")
                self._grant = await self._services.grant_realtime(command.options.key, origin)
            asked = {"language": self._dialect.language, "kind": self._dialect.type}
            self._live.profile = self._services.choose(self._grant, **asked)
            await self._services.sessions.admit(self._live, self._grant)
            if self._grant.ticket is not None:
                await self._services.tickets.spend(self._grant.ticket)
            if self._grant.share is not None:
                self._showing = self._services.shares.show(self._grant.share, self._live.session_id)
        except ScribewireError as error:
            self.deliver(ev.Denied(error))
        else:
            self.deliver(ev.Admitted(self._grant))

    async def _open(self, command: ev.OpenStream) -> None:
        profile = self._live.profile
        assert profile is not None
        request = StreamRequest(
            session=self._live.session_id,
            language=profile.language,
            type=profile.type,
            first_sample=command.first_sample,
            partial=command.partial,
            actual_numbers=command.actual_numbers,
            resume=command.resume,
            replacement=command.replacement,
            vocabulary=command.vocabulary,
            key_id=self._live.key_id or "",
        )
        try:
            self._remote = await self._services.fleet.open_stream(request, partial(self._hear, command.stream))
        except ScribewireError as error:
            self.deliver(ev.StreamRefused(command.stream, error))
        else:
            self._live.worker = self._remote.worker
            self.deliver(ev.StreamOpened(command.stream))

    def _abort(self) -> None:
        if self._remote is not None:
            self._remote.abort()
            self._remote = None
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()


def _translate(stream: int, frame: frames.Frame) -> ev.Event | None:
    match frame:
        case frames.PartialResult():
            return ev.PartialHeard(stream, frame.text, frame.sample, frame.stability)
        case frames.FinalResult():
            words = tuple(ev.Word(*word) for word in frame.words)
            return ev.FinalHeard(stream, words, frame.sample, frame.resume)
        case frames.Consumed():
            return ev.AudioConsumed(stream, frame.sample)
        case frames.Settled():
            return ev.AudioSettled(stream, frame.sample, frame.resume)
        case frames.Flushed():
            return ev.FlushDone(stream, frame.mark)
        case frames.Finished():
            return ev.StreamFinished(stream)
        case frames.Broken():
            return ev.StreamLost(stream, frame.reason)
        case frames.Draining():
            return ev.StreamDraining(stream)
        case _:
            return None
