"""One session that speaks at the pace of speech, and times what it hears."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from scribewire.bench.clips import Reel, seconds_of
from scribewire.bench.meter import Heard, Meter
from scribewire.client import Client, Partial, Session
from scribewire.client import Final as FinalMessage
from scribewire.core.audio import SAMPLE_BYTES, samples_of_ms
from scribewire.errors import (
    AtCapacity,
    RateLimited,
    ScaledDown,
    ScribewireError,
    ServiceStopping,
    SessionLimit,
    Unreachable,
)

# As long as the service may keep a session waiting for a worker, and some more.
LISTEN_WAIT_S: Final = 60.0
# From the last frame to `stopped`, and the most that a session may fall behind its pace.
END_WAIT_S: Final = 30.0
REFUSALS: Final = (AtCapacity, SessionLimit, RateLimited, ScaledDown, ServiceStopping)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run does. All sessions are live, and figures of lag count, for `seconds` after `warm_up_s`."""

    sessions: int
    seconds: float
    warm_up_s: float
    frame_ms: int
    language: str | None = None
    type: str = "fast"

    @property
    def audio_s(self) -> float:
        """Give how long each session speaks: as they begin one after the other, so they end."""
        return self.warm_up_s + self.seconds

    @property
    def longest_s(self) -> float:
        """Give how long the run takes when nothing is late."""
        return self.warm_up_s + self.audio_s


class Speaker:
    """Holds the session number `place` of a plan; what comes of it is in `heard`, however it ends."""

    def __init__(self, client: Client, reel: Reel, plan: Plan, place: int, meter: Meter) -> None:
        self.heard = Heard(place)
        self._client = client
        self._reel = reel
        self._plan = plan
        self._meter = meter
        self._frame_s = plan.frame_ms / 1000
        self._begin = math.inf
        self._stop_sent: float | None = None
        self._shown: list[str] = []
        self._onset_ms = reel.onset_ms(place)

    async def run(self, endpoint: str, begin: float, interrupted: asyncio.Event) -> None:
        """Begin at a monotonic time; speak to the end of the plan, or until interrupted."""
        with suppress(TimeoutError):
            async with asyncio.timeout(begin - time.monotonic()):
                await interrupted.wait()
        if interrupted.is_set():
            return
        heard = self.heard
        try:
            await self._hold(endpoint, interrupted)
        except ScribewireError as error:
            heard.error = error
            heard.refused = heard.listening_s is None and isinstance(error, REFUSALS)
            self._meter.errors += 1

    async def _hold(self, endpoint: str, interrupted: asyncio.Event) -> None:
        plan, heard = self._plan, self.heard
        asked = {"language": plan.language, "type": plan.type}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        began = time.monotonic()
        connection = await self._client.connect(f"{endpoint}?{query}")
        async with connection:
            connected = time.monotonic()
            heard.connect_s = connected - began
            session = Session(connection)
            await session.start({"partial": True}, wait_s=LISTEN_WAIT_S)
            heard.listening_s = time.monotonic() - connected
            self._meter.live += 1
            try:
                await self._talk(session, interrupted)
            finally:
                self._meter.live -= 1

    async def _talk(self, session: Session, interrupted: asyncio.Event) -> None:
        speaking = asyncio.create_task(self._speak(session, interrupted))
        try:
            async with asyncio.timeout(self._plan.audio_s + END_WAIT_S):
                await self._listen(session)
        except TimeoutError as error:
            raise Unreachable(f"The service did not finish a session within {END_WAIT_S:g} s of its time.") from error
        finally:
            speaking.cancel()
            [outcome] = await asyncio.gather(speaking, return_exceptions=True)
            # That the service went away is what the listener says; anything else is a fault of this program.
            if isinstance(outcome, Exception) and not isinstance(outcome, ScribewireError):
                raise outcome
        if self._stop_sent is None:
            raise ServiceStopping("The service ended a session before it was told to stop.")
        self.heard.stopped_s = time.monotonic() - self._stop_sent

    async def _speak(self, session: Session, interrupted: asyncio.Event) -> None:
        frame_bytes = samples_of_ms(self._plan.frame_ms) * SAMPLE_BYTES
        place = self.heard.place
        self._begin = begin = self._next_turn()
        free = begin
        for index in range(math.ceil(round(1000 * self._plan.audio_s) / self._plan.frame_ms)):
            due = begin + index * self._frame_s
            await asyncio.sleep(due - time.monotonic())
            if interrupted.is_set():
                break
            # Late by its own fault is only what came after the service had taken the frame before.
            self._meter.sent(due, late_s=time.monotonic() - max(due, free))
            await session.send(self._reel.audio(place, index * frame_bytes, frame_bytes))
            free = time.monotonic()
            self.heard.sent_s = seconds_of((index + 1) * frame_bytes)
        self._stop_sent = time.monotonic()
        await session.stop()

    def _next_turn(self) -> float:
        """Give the next instant of this session's own within a frame: the frames of all never come at once."""
        phase = self._frame_s * self.heard.place / self._plan.sessions
        return (math.floor((time.monotonic() - phase) / self._frame_s) + 1) * self._frame_s + phase

    async def _listen(self, session: Session) -> None:
        heard = self.heard
        async for message in session:
            now = time.monotonic()
            if isinstance(message, Partial):
                heard.partials += 1
                if heard.first_partial_s is None and self._onset_ms is not None:
                    heard.first_partial_s = now - self._due_of(self._onset_ms + 1)
                self._meter.heard_partial(now, now - self._due_of(message.offset_ms))
                self._show(message.text)
            elif isinstance(message, FinalMessage):
                if self._stop_sent is not None:
                    heard.final_s = now - self._stop_sent
                heard.words += message.words
                heard.final_words += len(message.text.split())
                self._show(message.text)
                self._shown = []

    def _due_of(self, offset_ms: int) -> float:
        """Give when the frame was due that completes the audio up to an offset."""
        return self._begin + max(0, math.ceil(offset_ms / self._plan.frame_ms) - 1) * self._frame_s

    def _show(self, text: str) -> None:
        """Count the words of the partial before that do not stand any more: all from the first that differs."""
        words = text.split()
        kept = 0
        for before, now in zip(self._shown, words, strict=False):
            if before != now:
                break
            kept += 1
        self.heard.unstable_words += len(self._shown) - kept
        self._shown = words
