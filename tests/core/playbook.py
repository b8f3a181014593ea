"""Playbook: a session in virtual time. Send it events, let time pass, say which commands must have followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from scribewire.core import events as ev
from scribewire.core.audio import SAMPLE_BYTES, samples_of_s
from scribewire.core.limits import Limits
from scribewire.core.session import Session
from scribewire.core.transitions import State

GRANT = ev.Grant("k1", "test")
BEGIN_S = 1000.0

_C = TypeVar("_C", bound=ev.Command)


class Pattern(Protocol):
    """What a command is compared with when equality says too much."""

    def matches(self, command: ev.Command) -> bool: ...


@dataclass(frozen=True)
class Fails:
    """An error message with this code."""

    code: str

    def matches(self, command: ev.Command) -> bool:
        return isinstance(command, ev.Failed) and command.error.code == self.code


@dataclass(frozen=True)
class Files:
    """A report of a session that closed like this."""

    close_code: int
    error_code: str | None = None

    def matches(self, command: ev.Command) -> bool:
        if not isinstance(command, ev.FileReport):
            return False
        return (command.report.close_code, command.report.error_code) == (self.close_code, self.error_code)


Expected = ev.Command | type[ev.Command] | Pattern


def closing(code: int, error_code: str | None = None) -> tuple[Expected, Expected]:
    """Give what ends every session whose client is still there."""
    return ev.CloseSocket(code), Files(code, error_code)


def failing(code: int, error_code: str) -> tuple[Expected, ...]:
    """Give how a session ends with an error while it has a stream."""
    return Fails(error_code), ev.AbortStream, *closing(code, error_code)


class Playbook:
    """One session and its clock. What it says gathers until `expect` or `take` takes it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.now = BEGIN_S
        self.session = Session(self.limits, now=self.now)
        self.said: list[ev.Command] = []
        self._unread: list[ev.Command] = []

    # --- what happens ------------------------------------------------------------------------------------------------

    def send(self, *events: ev.Event) -> Playbook:
        """Let events happen now."""
        for event in events:
            commands = self.session.receive(event, self.now)
            self.said += commands
            self._unread += commands
        return self

    def start(self, *, partial: bool = True) -> Playbook:
        """Start, and be admitted: stream 1 is asked for."""
        return self.send(ev.Started(ev.StartOptions(partial=partial)), ev.Admitted(GRANT))

    def listen(self, *, partial: bool = True) -> Playbook:
        """Start, and get stream 1. What was said up to `listening` is taken."""
        self.start(partial=partial).send(ev.StreamOpened(1)).skip()
        return self

    def speak(self, seconds: float) -> Playbook:
        """Send audio that begins like no WAV header, in one frame."""
        return self.send(ev.AudioReceived(b"\x01\x00" * samples_of_s(seconds)))

    def final(self, *texts: str, at: int, stream: int = 1, resume: bytes = b"") -> Playbook:
        """Let a segment end at sample `at`, with these words at its end."""
        first = at - len(texts)
        words = tuple(ev.Word(text, first + i, first + i + 1, 0.9) for i, text in enumerate(texts))
        return self.send(ev.FinalHeard(stream, words, at, resume))

    def jump(self) -> Playbook:
        """Go to the deadline and wake."""
        deadline = self.session.deadline
        assert deadline is not None, "the session is closed"
        self.now = max(self.now, deadline)
        return self.send(ev.Woken())

    def wait(self, seconds: float) -> Playbook:
        """Let time pass, waking at each deadline on the way."""
        until = self.now + seconds
        while (deadline := self.session.deadline) is not None and deadline <= until:
            self.jump()
        self.now = until
        return self

    def run_out(self, *, wakes: int = 30) -> Playbook:
        """Wake at deadlines and tell nothing else until it is over."""
        while self.session.state is not State.CLOSED:
            assert wakes > 0, "woken again and again, the session does not end"
            wakes -= 1
            self.jump()
        return self

    # --- what must have followed -------------------------------------------------------------------------------------

    def expect(self, *expected: Expected) -> Playbook:
        """Assert that exactly this was said since the last look."""
        unread = self.take()
        assert len(unread) == len(expected), _told(unread, expected)
        for command, pattern in zip(unread, expected, strict=True):
            assert _fits(command, pattern), _told(unread, expected)
        return self

    def skip(self) -> Playbook:
        """Look away from what was said so far."""
        self.take()
        return self

    def take(self) -> list[ev.Command]:
        """Take what was said since the last look."""
        unread, self._unread = self._unread, []
        return unread

    def state_is(self, state: State) -> Playbook:
        """Assert where the conversation stands."""
        assert self.session.state is state
        return self

    def all(self, kind: type[_C]) -> list[_C]:
        """Give all commands of one kind since the beginning."""
        return [command for command in self.said if isinstance(command, kind)]

    @property
    def report(self) -> ev.Report:
        """Give the one report."""
        (filed,) = self.all(ev.FileReport)
        return filed.report

    def report_after_stop(self, stream: int) -> ev.Report:
        """Stop, let the stream finish, and give the report."""
        return self.send(ev.Stopped(), ev.StreamFinished(stream)).report

    def fed(self, stream: int) -> bytes:
        """Give all audio that a stream was fed."""
        return b"".join(command.pcm for command in self.all(ev.FeedStream) if command.stream == stream)

    def fed_samples(self, stream: int) -> int:
        """Give how many samples a stream was fed."""
        return len(self.fed(stream)) // SAMPLE_BYTES


def _fits(command: ev.Command, pattern: Expected) -> bool:
    if isinstance(pattern, type):
        return isinstance(command, pattern)
    if hasattr(pattern, "matches"):
        return pattern.matches(command)
    return command == pattern


def _told(unread: list[ev.Command], expected: tuple[Expected, ...]) -> str:
    said = "\n  ".join(map(repr, unread)) or "nothing"
    wanted = "\n  ".join(map(repr, expected)) or "nothing"
    return f"said\n  {said}\nexpected\n  {wanted}"
