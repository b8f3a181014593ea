"""Channels: the shell of the session machine, one for each channel of a socket's audio.

It gives the machine what the socket and the link say, wakes it, and carries out its commands: those to the worker
itself, those to the client by the socket. Each event is given to `deliver`, which runs the machine and carries out what
it says before it returns. So there is one order of events and no lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from scribewire import frames
from scribewire.core import events as ev
from scribewire.core.session import Session
from scribewire.core.transitions import State
from scribewire.dialects.base import Dialect
from scribewire.errors import NotAuthenticated, ScribewireError
from scribewire.gateway.lag import LagMeter
from scribewire.gateway.link import RemoteStream, StreamRequest
from scribewire.gateway.services import Services
from scribewire.gateway.sessions import LiveSession
from scribewire.gateway.shares import Showing

log = logging.getLogger(__name__)

# What a channel asks of its socket.
Asked = ev.Message | ev.PauseReading | ev.ResumeReading | ev.CloseSocket | ev.FileReport


class Channel:
    """The session of one channel, from its entry to its filed report. `ask` carries out what the socket is to do."""

    def __init__(
        self,
        number: int,
        *,
        live: LiveSession,
        dialect: Dialect,
        services: Services,
        grant: ev.Grant | None,
        ask: Callable[[Channel, Asked], None],
    ) -> None:
        self.number = number
        self._live = live
        self._dialect = dialect
        self._services = services
        self._grant = grant
        self._ask = ask

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

        self._remote: RemoteStream | None = None
        self._task: asyncio.Task[None] | None = None  # admission, then each opening: never two at once
        self._showing: Showing | None = None
        self._lag = LagMeter()

        live.deliver = self.deliver
        services.sessions.enter(live)
        self._set_timer()

    @property
    def closed(self) -> bool:
        """Say whether the session has ended."""
        return self._machine.state is State.CLOSED

    async def release(self) -> None:
        """Let go of everything but the place among the live sessions. To be called once the session has ended."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is None:
            return
        self._task.cancel()
        [outcome] = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception):
            log.error("a session broke", exc_info=outcome, extra={"session_id": self._live.session_id})

    def leave(self) -> None:
        """Be no live session any more."""
        self._services.sessions.leave(self._live)
        if self._showing is not None:
            self._showing.end()

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

    def hear(self, pcm: bytes) -> None:
        """Deliver audio of the format inside."""
        self.deliver(ev.AudioReceived(pcm))
        self._live.received_samples = self._machine.kept.end_sample
        self._lag.arrived(self._live.received_samples, self._loop.time())

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

    def _hear_link(self, stream: int, frame: frames.Frame) -> None:
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
            case ev.Partial() | ev.Final():
                if self._showing is not None:
                    self._showing.tell(command)
                self._ask(self, command)
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
            case ev.FileReport():
                self._services.sessions.file(self._live, command.report)
                self._ask(self, command)
            case _:
                self._ask(self, command)

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
            self._remote = await self._services.fleet.open_stream(request, partial(self._hear_link, command.stream))
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
