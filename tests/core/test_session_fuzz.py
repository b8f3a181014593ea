"""The session machine among liars: whatever clients, workers and engines say, its invariants hold."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scribewire.core import events as ev
from scribewire.core.audio import samples_of_s
from scribewire.core.flushes import MAX_FLUSHES
from scribewire.core.limits import Limits
from scribewire.core.session import Session
from scribewire.core.transitions import State
from scribewire.errors import NotAuthenticated

# Small enough that a few frames reach every bound; above the 2 s between pausing and reading on.
LIMITS = Limits(
    kept_samples=samples_of_s(8), backlog_samples=samples_of_s(4), window_samples=samples_of_s(2), idle_s=60.0
)
# A ramp: audio that says where it stands. Its first byte begins no WAV header.
RAMP = array("H", range(1 << 16)).tobytes()
# With the longest life: idle, then five streams that open late or stall, then the end.
MOST_WAKES = 30


def ramp(start_byte: int, count: int) -> bytes:
    """Give `count` bytes of the endless ramp."""
    at = start_byte % len(RAMP)
    return (RAMP[at:] + RAMP * (count // len(RAMP) + 1))[:count]


@dataclass
class Fed:
    """What a stream was given, and what it is entitled to."""

    first_sample: int
    at: int
    consumed: int
    open: bool = False
    opened_at_s: float = 0.0
    marks: list[int] = field(default_factory=list)


class Witness:
    """A session watched: it carries out nothing, believes nothing, and checks every command against what was said."""

    def __init__(self) -> None:
        self.now = 0.0
        self.session = Session(LIMITS, now=self.now)
        self.said: list[ev.Command] = []
        self.received_bytes = 0
        self.discarded_bytes = 0
        self.settled = 0
        self.floor = 0  # what was settled before the present event
        self.flushes: list[int] = []  # where each stands, by mark
        self.flushed = 0
        self.resume = b""
        self.streams: dict[int, Fed] = {}
        self.finished = 0  # the stream that was asked to
        self.stopping = False
        self.started = False
        self.listening = False
        self.offset = 0
        self.word_end = 0
        self.paused_since_s: float | None = None
        self.reports: list[ev.Report] = []

    @property
    def stream(self) -> int:
        return max(self.streams, default=0)

    @property
    def received(self) -> int:
        return self.received_bytes // 2

    # --- what happens ------------------------------------------------------------------------------------------------

    def tell(self, event: ev.Event) -> None:
        """Let it happen now, and check all that follows."""
        self._check_pause()
        before = self.session.state
        self.floor = self.settled
        if before is not State.CLOSED:
            self._hear_client(event, before)
            self._hear_stream(event)
        commands = self.session.receive(event, self.now)
        if before is State.CLOSED:
            assert commands == []
        for command in commands:
            assert not self.reports, "nothing follows the report"
            self._check(command)
            self.said.append(command)
        self._check_between()

    def pass_time(self, seconds: float) -> None:
        """Let time pass as the shell does, waking at every deadline."""
        until = self.now + seconds
        while (deadline := self.session.deadline) is not None and deadline <= until:
            self.wake()
        self.now = until

    def wake(self) -> None:
        """Go to the deadline. What is due there is done there: nobody is woken twice for the same."""
        deadline = self.session.deadline
        assert deadline is not None
        self.now = max(self.now, deadline)
        self.tell(ev.Woken())
        after = self.session.deadline
        assert after is None or after > self.now

    def speak(self, count: int) -> None:
        """Send the next `count` bytes of the ramp."""
        self.tell(ev.AudioReceived(ramp(self.received_bytes, count)))

    def end(self) -> None:
        """Tell it nothing more: it ends all the same, and tells the whole story once."""
        for _ in range(MOST_WAKES):
            if self.session.state is State.CLOSED:
                break
            self.wake()
        assert self.session.state is State.CLOSED
        (report,) = self.reports
        assert report.received_samples == self.received
        assert report.discarded_bytes == self.discarded_bytes
        assert report.finals == sum(isinstance(command, ev.Final) for command in self.said)
        assert report.partials == sum(isinstance(command, ev.Partial) for command in self.said)
        assert report.streams == len(self.streams)
        self._check_messages([command for command in self.said if isinstance(command, ev.Message)])
        pauses = [command for command in self.said if isinstance(command, ev.PauseReading | ev.ResumeReading)]
        assert all(type(command) is not type(after) for command, after in pairwise(pauses))
        assert not pauses or isinstance(pauses[0], ev.PauseReading)

    # --- what must follow --------------------------------------------------------------------------------------------

    def _hear_client(self, event: ev.Event, state: State) -> None:
        match event:
            case ev.AudioReceived():
                if state in (State.OPENING, State.LISTENING) and not self.stopping:
                    self.received_bytes += len(event.pcm)
                else:
                    self.discarded_bytes += len(event.pcm)
            case ev.FlushAsked():
                owed = len(self.flushes) - self.flushed
                if state in (State.OPENING, State.LISTENING) and not self.stopping and owed < MAX_FLUSHES:
                    self.flushes.append(self.received)
            case ev.Stopped() | ev.ServiceStopped():
                self.stopping = self.stopping or state is not State.NEW
            case _:
                pass

    def _hear_stream(self, event: ev.Event) -> None:
        fed = self.streams.get(self.stream)
        if fed is None or getattr(event, "stream", 0) != self.stream:
            return
        match event:
            case ev.StreamOpened() if not fed.open:
                fed.open, fed.opened_at_s = True, self.now
            case ev.AudioConsumed() | ev.AudioSettled() | ev.FinalHeard() if fed.open:
                sample = min(event.sample, fed.at)
                fed.consumed = max(fed.consumed, sample)
                if not isinstance(event, ev.AudioConsumed) and sample > self.settled:
                    self.settled, self.resume = sample, event.resume
            case _:
                pass

    def _check(self, command: ev.Command) -> None:  # noqa: C901 - one case a command
        if isinstance(command, ev.Message) and self.started and not self.listening:
            last = isinstance(command, ev.Failed) and command.error.close_code is not None
            assert last or isinstance(command, ev.Listening)
        match command:
            case ev.Admit():
                self.started = True
            case ev.Listening():
                assert not self.listening, "listening is said once"
                self.listening = True
            case ev.Flushed():
                self.flushed += 1
                assert command.id == self.flushed, "each is answered once, in order"
            case ev.OpenStream():
                assert command.stream == self.stream + 1
                assert (command.first_sample, command.resume) == (self.settled, self.resume)
                assert not any(fed.open for fed in self.streams.values()), "one stream at a time"
                self.streams[command.stream] = Fed(self.settled, self.settled, self.settled)
            case ev.FeedStream():
                fed = self._open(command.stream)
                assert command.pcm
                assert command.pcm == ramp(2 * fed.at, len(command.pcm)), "contiguous, and what was received"
                fed.at += len(command.pcm) // 2
                owed = range(self.flushed + 1, len(self.flushes) + 1)
                assert all(mark in fed.marks or self.flushes[mark - 1] >= fed.at for mark in owed)
                assert fed.at <= min(self.received, fed.consumed + LIMITS.window_samples)
            case ev.FlushStream():
                fed = self._open(command.stream)
                assert command.mark > max(fed.marks, default=self.flushed)
                assert fed.at == max(fed.first_sample, self.flushes[command.mark - 1])
                fed.marks.append(command.mark)
            case ev.FinishStream():
                assert self._open(command.stream).at == self.received
                assert self.stopping or self.session.state is State.FINISHING
                self.finished = command.stream
            case ev.AbortStream():
                assert command.stream == self.stream
                self.streams[command.stream].open = False
            case ev.Partial():
                assert command.text
                assert 0.0 <= command.stability <= 1.0
                self._check_offset(command.sample)
            case ev.Final():
                self._check_offset(command.sample)
                self._check_words(command.words)
            case ev.StoppedSaid():
                for fed in self.streams.values():
                    fed.open = False
            case ev.PauseReading():
                self.paused_since_s = self.now
            case ev.ResumeReading():
                self.paused_since_s = None
            case ev.FileReport():
                self.reports.append(command.report)
            case _:
                pass

    def _open(self, stream: int) -> Fed:
        fed = self.streams[stream]
        assert stream == self.stream
        assert fed.open
        assert self.finished != stream, "nothing follows the finish"
        return fed

    def _check_offset(self, sample: int) -> None:
        assert self.offset <= sample <= self.received
        self.offset = sample

    def _check_words(self, words: tuple[ev.Word, ...]) -> None:
        assert words, "no final is empty"
        for word in words:
            assert word.text
            assert max(self.word_end, self.floor) <= word.start_sample <= word.end_sample <= self.received
            assert 0.0 <= word.confidence <= 1.0
            self.word_end = word.end_sample

    def _check_between(self) -> None:
        session = self.session
        assert (session.deadline is None) == (session.state is State.CLOSED)
        assert session.kept.end_sample == self.received, "all that was received is settled or kept"
        if session.state is not State.CLOSED:
            assert session.kept.first_sample == self.settled
            assert session.kept.read(session.kept.first_sample, session.kept.end_sample) == ramp(
                2 * self.settled, 2 * session.kept.samples
            )
        self._check_pause()

    def _check_pause(self) -> None:
        """A client is held back for less than 5 s at a time while a stream is open."""
        if self.session.state is State.CLOSED or self.paused_since_s is None:
            return
        assert not self.stopping, "who stops is read"
        fed = self.streams.get(self.stream)
        if fed and fed.open:
            assert self.now - max(self.paused_since_s, fed.opened_at_s) < 5

    def _check_messages(self, messages: list[ev.Message]) -> None:
        kinds = [type(message) for message in messages]
        assert kinds.count(ev.StoppedSaid) <= 1
        assert ev.StoppedSaid not in kinds[:-1], "stopped is the last message"


# --- hostile clients, workers and engines ---------------------------------------------------------------------------

# Positions: eighths of what is fed and not settled, or a little beside them, or lies.
_truths = st.tuples(st.integers(0, 8), st.sampled_from([0, 0, 1, -1]))
_lies = st.tuples(st.sampled_from([0, 8]), st.integers(-(2**62), 2**62))
_places = st.one_of(_truths, _truths, _truths, _lies)
_confidences = st.one_of(st.floats(), st.floats(0, 1))
_words = st.lists(st.tuples(st.sampled_from(["", "a", "b c"]), _places, _places, _confidences), max_size=3)
_streams = st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1])  # mostly the present one


Place = tuple[int, int]


@dataclass(frozen=True)
class Speak:
    count: int


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Tell:
    event: ev.Event


@dataclass(frozen=True)
class Claim:
    """What a stream says: `kind` of stream `offset` from the present one, about a place."""

    kind: str
    offset: int = 0
    place: Place = (8, 0)
    words: tuple[tuple[str, Place, Place, float], ...] = ()
    text: str = ""
    figure: float = 0.5


Move = Speak | Wait | Tell | Claim

_client_moves: list[st.SearchStrategy[Move]] = [
    st.builds(Speak, st.one_of(st.integers(0, 9), st.integers(0, 64_000), st.just(32_000))),
    st.builds(Speak, st.sampled_from([6_400, 32_000, 64_001])),
    st.builds(Wait, st.sampled_from([0.0, 0.05, 0.1, 1.0, 4.0, 16.0])),
    st.just(Tell(ev.FlushAsked())),
]
_rude_moves: list[st.SearchStrategy[Move]] = [
    st.sampled_from(
        [
            Tell(ev.Started()),
            Tell(ev.Stopped()),
            Tell(ev.Misspoke("What?")),
            Tell(ev.StopAnnounced(7)),
            Tell(ev.Admitted(ev.Grant("k", "n"))),
        ]
    ),
    st.sampled_from(
        [
            Tell(ev.ServiceStopped()),
            Tell(ev.ClientGone()),
            Tell(ev.ReaderStuck()),
            Tell(ev.Denied(NotAuthenticated())),
            Wait(40.0),
        ]
    ),
]
_engine_moves: list[st.SearchStrategy[Move]] = [
    st.builds(Claim, st.just("consumed"), _streams, _places),
    st.builds(Claim, st.just("settled"), _streams, _places),
    st.builds(Claim, st.just("final"), _streams, _places, _words.map(tuple)),
    st.builds(Claim, st.just("partial"), _streams, _places, text=st.sampled_from(["", "a", "b"]), figure=_confidences),
    st.builds(Claim, st.just("flushed"), _streams, place=st.tuples(st.just(0), st.sampled_from([1, 1, 1, 0, 2, -1]))),
    st.builds(Claim, st.sampled_from(["opened", "opened", "lost", "finished", "draining"]), _streams),
    st.builds(Claim, st.sampled_from(["opened", "consumed", "settled"])),
]
_moves = st.lists(st.one_of(*_client_moves, *_engine_moves, *_rude_moves), min_size=15, max_size=60)
_calm_moves = st.lists(st.one_of(*_client_moves, *_engine_moves), min_size=15, max_size=60)


def make(witness: Witness, move: Move) -> None:
    """Carry a move out, with its positions resolved."""
    match move:
        case Speak():
            witness.speak(move.count)
        case Wait():
            witness.pass_time(move.seconds)
        case Tell(ev.FlushAsked()):
            witness.tell(ev.FlushAsked(len(witness.flushes) + 1))
        case Tell():
            witness.tell(move.event)
        case Claim():
            witness.tell(_claimed(witness, move))


def _claimed(witness: Witness, claim: Claim) -> ev.Event:
    stream = witness.stream + claim.offset
    sample = _resolve(witness, claim.place)
    resume = b"%d" % sample
    match claim.kind:
        case "opened":
            return ev.StreamOpened(stream)
        case "lost":
            return ev.StreamLost(stream)
        case "finished":
            return ev.StreamFinished(stream)
        case "draining":
            return ev.StreamDraining(stream)
        case "consumed":
            return ev.AudioConsumed(stream, sample)
        case "settled":
            return ev.AudioSettled(stream, sample, resume)
        case "partial":
            return ev.PartialHeard(stream, claim.text, sample, claim.figure)
        case "flushed":
            return ev.FlushDone(stream, witness.flushed + claim.place[1])
        case _:
            words = tuple(
                ev.Word(text, _resolve(witness, start), _resolve(witness, end), figure)
                for text, start, end, figure in claim.words
            )
            return ev.FinalHeard(stream, words, sample, resume)


def _resolve(witness: Witness, place: Place) -> int:
    eighths, offset = place
    fed = witness.streams.get(witness.stream)
    return witness.settled + ((fed.at - witness.settled) * eighths // 8 if fed else 0) + offset


def _listening() -> Witness:
    witness = Witness()
    for event in (ev.Started(), ev.Admitted(ev.Grant("k", "n")), ev.StreamOpened(1)):
        witness.tell(event)
    return witness


def _play(witness: Witness, moves: list[Move]) -> None:
    for move in moves:
        make(witness, move)
    witness.end()


_long = settings(max_examples=2_000, suppress_health_check=list(HealthCheck))
_quick = settings(max_examples=40)


@_quick
@given(_moves)
def test_the_invariants_hold_from_the_first_word(moves: list[Move]) -> None:
    _play(Witness(), moves)


@_quick
@given(_moves)
def test_the_invariants_hold_in_an_open_session(moves: list[Move]) -> None:
    _play(_listening(), moves)


@_quick
@given(_calm_moves)
def test_the_invariants_hold_for_a_patient_client_of_a_lying_engine(moves: list[Move]) -> None:
    _play(_listening(), moves)


@pytest.mark.long
@pytest.mark.timeout(900)
@_long
@given(st.booleans(), st.one_of(_moves, _calm_moves))
def test_the_invariants_hold_for_a_long_time(opened: bool, moves: list[Move]) -> None:
    _play(_listening() if opened else Witness(), moves)
