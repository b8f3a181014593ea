"""A durable session's core in virtual time, between a caller and model services that hear what the fake hears."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from scribewire.client.core import Bounds, Course
from scribewire.client.fake_speech import Hearing
from scribewire.client.wire import Event, Final, Flushed
from scribewire.errors import Disconnected, ScribewireError

LISTENING = '{"state":"listening","session_id":"s"}'
CHANCE = 0.5


class ModelService:
    """The service's end of one socket. What it says waits in `outbox`."""

    def __init__(self) -> None:
        self.outbox: deque[str] = deque()
        self.said: list[str] = []
        self.heard: list[str | bytes] = []
        self._hearing = Hearing()

    def receive(self, frame: str | bytes) -> None:
        """Take a frame and answer it."""
        self.heard.append(frame)
        if isinstance(frame, bytes):
            self._say(*self._hearing.hear(frame))
            return
        message: dict[str, Any] = msgspec.json.decode(frame)
        match message["action"]:
            case "start":
                self.outbox.append(LISTENING)
            case "flush":
                self._say(*self._hearing.flush(), {"flushed": message["id"]})
            case "stop":
                self._say(*self._hearing.flush(), {"state": "stopped"})

    def _say(self, *messages: Any) -> None:
        texts = [msgspec.json.encode(message).decode() for message in messages]
        self.outbox += texts
        self.said += texts


class World:
    """The core, its sockets, and time. Nothing moves but what a test moves."""

    def __init__(self, *, bounds: Bounds | None = None) -> None:
        self.now = 0.0
        self.course = Course({"partial": True}, bounds, now=self.now)
        self.service = ModelService()
        self.services: list[ModelService] = []
        self.events: list[Event] = []

    # --- what moves --------------------------------------------------------------------------------------------------

    def connect(self) -> World:
        """Let time pass until a socket is due, and open it."""
        assert self.course.awaits_connection
        assert self.course.deadline is not None
        self.now = max(self.now, self.course.deadline)
        self.course.opened(self.course.connect(), self.now)
        self.service = ModelService()
        self.services.append(self.service)
        return self

    def send(self, frames: int = 1 << 30) -> World:
        """Let so many frames reach the service."""
        while frames and (frame := self.course.next_frame(self.course.socket)) is not None:
            self.service.receive(frame)
            frames -= 1
        return self.take()

    def deliver(self, messages: int = 1 << 30) -> World:
        """Let so many messages reach the core."""
        while messages and self.service.outbox:
            self.tell(self.service.outbox.popleft())
            messages -= 1
        return self

    def tell(self, text: str, *, socket: int | None = None) -> World:
        """Let the core hear a message, of the present socket unless another is named."""
        self.course.receive(self.course.socket if socket is None else socket, text, self.now, CHANCE)
        return self.take()

    def close(self, code: int = 1006, *, socket: int | None = None) -> World:
        """Close the socket; what is on its way in either direction is gone."""
        self.service.outbox.clear()
        self.course.closed(self.course.socket if socket is None else socket, code, "", self.now, CHANCE)
        return self.take()

    def fail(self, error: ScribewireError | None = None) -> World:
        """Let the attempt that is due fail."""
        assert self.course.deadline is not None
        self.now = max(self.now, self.course.deadline)
        self.course.failed(self.course.connect(), error or Disconnected(), self.now, CHANCE)
        return self.take()

    def wait(self, seconds: float) -> World:
        """Let time pass, and wake the core."""
        self.now += seconds
        self.course.wake(self.now, CHANCE)
        return self.take()

    def listen(self) -> World:
        """Connect and get to `listening`."""
        return self.connect().send().deliver(1)

    def converse(self) -> World:
        """Let all frames and messages arrive."""
        return self.send().deliver()

    def run_out(self) -> World:
        """Stop, and let all go well until the end."""
        self.course.stop()
        for _ in range(5):
            if self.course.is_over:
                break
            if self.course.awaits_connection:
                self.connect()
            self.converse().converse().close(1000)
        assert self.course.is_over
        return self

    def take(self) -> World:
        """Gather the events."""
        self.events += self.course.take_events()
        return self

    # --- what is seen ------------------------------------------------------------------------------------------------

    def all(self, *kinds: type[Event]) -> list[Any]:
        """Give the events of some kinds."""
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def text(self) -> str:
        """Join the finals."""
        return " ".join(final.text for final in self.all(Final))

    @property
    def lasting(self) -> list[Event]:
        """Give what must not depend on how the sockets fared."""
        return self.all(Final, Flushed)
