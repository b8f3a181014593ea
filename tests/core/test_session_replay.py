"""Finals are a function of the audio: whoever dies, drains or dawdles, the client reads what it would have read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scribewire.core import events as ev
from scribewire.core.audio import WINDOW_SAMPLES
from scribewire.core.limits import Limits
from scribewire.core.transitions import State
from tests.core.playbook import Playbook

HANGOVER = 3
LONGEST = 20  # windows in a segment
LIMITS = Limits(window_samples=7 * WINDOW_SAMPLES, stall_s=1000)


class HonestStream:
    """Decodes windows of constant bytes: 0 is silence, n is word n. What it says is a function of audio and resume.

    A run of one value is a word; a segment ends after HANGOVER windows of silence, after LONGEST windows, at a flush or
    at the end, and silence settles as it passes. `resume` counts the words, and each word carries its number: one lost
    or doubled would show.
    """

    def __init__(self, opened: ev.OpenStream) -> None:
        self._stream = opened.stream
        self._at = opened.first_sample
        self._spoken = int(opened.resume or b"0")
        self._rest = b""
        self._words: list[ev.Word] = []
        self._last = 0
        self._windows = 0
        self._quiet = 0

    def feed(self, pcm: bytes) -> Iterator[ev.Event]:
        self._rest += pcm
        while len(self._rest) >= 2 * WINDOW_SAMPLES:
            yield from self._decode(self._rest[0], WINDOW_SAMPLES)
            self._rest = self._rest[2 * WINDOW_SAMPLES :]
            yield ev.AudioConsumed(self._stream, self._at)

    def flush(self, mark: int) -> Iterator[ev.Event]:
        yield from self._end()
        yield ev.FlushDone(self._stream, mark)

    def finish(self) -> Iterator[ev.Event]:
        yield from self._end()
        yield ev.StreamFinished(self._stream)

    def _end(self) -> Iterator[ev.Event]:
        if self._rest:
            yield from self._decode(self._rest[0], len(self._rest) // 2)
            self._rest = b""
        yield from self._close()

    def _decode(self, value: int, samples: int) -> Iterator[ev.Event]:
        start, self._at = self._at, self._at + samples
        if value and value == self._last:
            self._words[-1] = self._words[-1]._replace(end_sample=self._at)
        elif value:
            number = self._spoken + len(self._words) + 1
            self._words.append(ev.Word(f"{number}:{value}", start, self._at, value / 10))
        self._last = value
        self._quiet = 0 if value else self._quiet + 1
        self._windows += bool(self._words)
        if self._words:
            yield ev.PartialHeard(self._stream, " ".join(word.text for word in self._words), self._at, 0.5)
        if not self._words or self._quiet == HANGOVER or self._windows == LONGEST:
            yield from self._close()

    def _close(self) -> Iterator[ev.Event]:
        self._spoken += len(self._words)
        resume = b"%d" % self._spoken
        if self._words:
            yield ev.FinalHeard(self._stream, tuple(self._words), self._at, resume)
        else:
            yield ev.AudioSettled(self._stream, self._at, resume)
        self._words, self._last, self._windows, self._quiet = [], 0, 0, 0


@dataclass
class Fleet:
    """Workers on a slow wire: what streams say waits until it is delivered, and dies with its worker."""

    play: Playbook
    seen: int = 0
    worker: HonestStream | None = None
    wire: deque[ev.Event] = field(default_factory=deque)

    def carry_out(self) -> None:
        """Do what the session asked since the last time."""
        while self.seen < len(self.play.said):
            command = self.play.said[self.seen]
            self.seen += 1
            match command:
                case ev.OpenStream():
                    self.worker = HonestStream(command)
                    self.wire.append(ev.StreamOpened(command.stream))
                case ev.FeedStream():
                    assert self.worker
                    self.wire += self.worker.feed(command.pcm)
                case ev.FlushStream():
                    assert self.worker
                    self.wire += self.worker.flush(command.mark)
                case ev.FinishStream():
                    assert self.worker
                    self.wire += self.worker.finish()
                case ev.AbortStream():
                    self.wire.clear()
                case _:
                    pass

    def deliver(self, count: int) -> None:
        """Let the next few words of the stream arrive."""
        for _ in range(count):
            self.carry_out()
            if self.wire:
                self.play.send(self.wire.popleft())
        self.carry_out()

    def deliver_all(self) -> None:
        """Let everything arrive that is said, and what follows from it."""
        self.carry_out()
        while self.wire:
            self.deliver(1)

    def kill(self) -> None:
        """End the worker; what it said on the wire is lost."""
        self.carry_out()
        if self.worker is not None:
            self.wire.clear()
            self.play.send(ev.StreamLost(len(self.play.all(ev.OpenStream))))
            self.carry_out()

    def drain(self) -> None:
        """Let the worker ask to be left."""
        self.play.send(ev.StreamDraining(len(self.play.all(ev.OpenStream))))
        self.carry_out()


@dataclass(frozen=True)
class Trouble:
    """What happens after a step of the client: so much is delivered, then a worker dies, drains, or time passes."""

    deliver: int
    kind: str


# Runs of windows of one value; 0 is silence. Between them, flushes at places that are no window's end.
_speech = st.lists(st.tuples(st.sampled_from([0, 0, 1, 2, 3]), st.integers(1, 8)), max_size=12)
_flushes = st.lists(st.integers(0, 40 * WINDOW_SAMPLES), max_size=3)
_troubles = st.lists(
    st.builds(Trouble, st.integers(0, 40), st.sampled_from(["kill", "drain", "wait", "none", "none"])), max_size=12
)
_cuts = st.lists(st.sampled_from([1, 333, 1_024, 6_400, 12_001]), min_size=1, max_size=5).filter(
    lambda cuts: sum(cuts) > 300
)
MOST_KILLS = 4  # in a row without progress, the session gives up; that is tested elsewhere


def _read(pcm: bytes, flushes: list[int], cuts: list[int], troubles: list[Trouble]) -> list[ev.Message]:
    """Give the finals and the answers to flushes that a client reads, and `stopped`."""
    play = Playbook(LIMITS)
    fleet = Fleet(play)
    pending = deque(troubles)
    kills = 0
    play.start()
    for part in _steps(pcm, flushes, cuts):
        play.send(ev.AudioReceived(part) if isinstance(part, bytes) else ev.FlushAsked(part))
        if not troubles:
            fleet.deliver_all()
        kills += _trouble(fleet, pending, may_kill=kills < MOST_KILLS)
    play.send(ev.Stopped())
    while pending and play.session.state is not State.CLOSED:
        kills += _trouble(fleet, pending, may_kill=kills < MOST_KILLS)
    fleet.deliver_all()
    play.state_is(State.CLOSED)
    return [command for command in play.said if isinstance(command, ev.Final | ev.Flushed | ev.StoppedSaid | ev.Failed)]


def _steps(pcm: bytes, flushes: list[int], cuts: list[int]) -> Iterator[bytes | int]:
    """Cut the audio into frames, with each flush at its place; a flush is named by its turn."""
    marks = deque((2 * place, turn) for turn, place in enumerate(sorted(flushes)))
    at, turn = 0, 0
    while at < len(pcm):
        while marks and marks[0][0] <= at:
            yield marks.popleft()[1]
        end = min(at + cuts[turn % len(cuts)], len(pcm), marks[0][0] if marks else len(pcm))
        yield pcm[at:end]
        at, turn = end, turn + 1


def _trouble(fleet: Fleet, pending: deque[Trouble], *, may_kill: bool) -> int:
    """Let the next trouble happen; give how many workers it killed."""
    if not pending:
        return 0
    trouble = pending.popleft()
    fleet.deliver(trouble.deliver)
    if trouble.kind == "kill" and may_kill:
        fleet.kill()
        return 1
    if trouble.kind == "drain":
        fleet.drain()
    if trouble.kind == "wait":
        fleet.play.wait(11)  # past the deadline of a drain, short of a stall
        fleet.carry_out()
    return 0


def _check(speech: list[tuple[int, int]], flushes: list[int], cuts: list[int], troubles: list[Trouble]) -> None:
    pcm = b"".join(bytes([value]) * (2 * WINDOW_SAMPLES * windows) for value, windows in speech)
    undisturbed = _read(pcm, flushes, [4 * WINDOW_SAMPLES], [])
    disturbed = _read(pcm, flushes, cuts, troubles)
    assert disturbed == undisturbed
    finals = [message for message in undisturbed if isinstance(message, ev.Final)]
    numbers = [word.text.partition(":")[0] for final in finals for word in final.words]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


@settings(max_examples=40)
@given(_speech, _flushes, _cuts, _troubles)
def test_finals_do_not_depend_on_framing_or_failures(
    speech: list[tuple[int, int]], flushes: list[int], cuts: list[int], troubles: list[Trouble]
) -> None:
    _check(speech, flushes, cuts, troubles)


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(max_examples=2_000, suppress_health_check=list(HealthCheck))
@given(_speech, _flushes, _cuts, _troubles)
def test_finals_do_not_depend_on_framing_or_failures_for_a_long_time(
    speech: list[tuple[int, int]], flushes: list[int], cuts: list[int], troubles: list[Trouble]
) -> None:
    _check(speech, flushes, cuts, troubles)


@pytest.mark.parametrize("delivered", range(0, 90, 6))
def test_a_worker_killed_at_any_word_costs_no_final(delivered: int) -> None:
    speech = [(1, 5), (0, 2), (2, 3), (0, 4), (3, 30), (0, 1), (1, 2)]
    _check(speech, [21 * WINDOW_SAMPLES + 100], [3_200], [Trouble(1, "none")] * 5 + [Trouble(delivered, "kill")])
