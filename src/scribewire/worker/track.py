"""One stream's way through gate and decoder: audio in, quanta to decode, frames out. Pure; the clock is an argument.

What comes out is a function of the audio: order is kept throughout, so a Settled waits behind the segment before it,
and a flush is applied at exactly the sample at which it was asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_SAMPLES, samples_of_ms, samples_of_s
from scribewire.core.words import Word
from scribewire.engines.gate import Gate, SegmentClosed, SegmentOpened, Silent, Speech
from scribewire.errors import EngineFailed, LinkBroken
from scribewire.frames import (
    WINDOW_S,
    Consumed,
    FinalResult,
    Finish,
    Finished,
    Flush,
    Flushed,
    Frame,
    Open,
    PartialResult,
    Settled,
)
from scribewire.worker.numerals import numerals_of
from scribewire.worker.partials import Partials
from scribewire.worker.quanta import Decoded, Quantum

MAX_RESUME_BYTES: Final = 4096
# What the window allows, and one more message of a client, which holds at most 1 MiB.
MAX_UNCONSUMED_SAMPLES: Final = samples_of_s(WINDOW_S) + 1024 * 1024 // SAMPLE_BYTES
MAX_WAITING_FLUSHES: Final = 64
# An engine that wants a segment again more often than this never ends it.
MAX_AGAIN: Final = 3
CONSUMED_STEP_SAMPLES: Final = samples_of_ms(100)
# What a segment opens with is there at once, pre-roll and all, and is decoded at once: a partial on the way would be
# old when it is said, and the next has to keep its distance to it.
OPENING_WINDOWS: Final = 12

_RESUME: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes])


class Track:
    """A stream between its Open and its Finished.

    `receive`, `flush` and `finish` take what the gateway says. The gate is stepped from outside, for many tracks at
    once: `judged` after every step. `take_quantum` and `apply` are for whoever decodes; `drain` gives the frames that
    need no decoding.
    """

    def __init__(self, opened: Open, gate: Gate, *, stable_only: bool = False, windowed: bool = False) -> None:
        """Open at the state that `opened.resume` holds; with `stable_only`, partials hold what is stable.

        Raises LinkBroken when that is none.
        """
        gate_state, self.engine_state = read_resume(opened.resume)
        self.finished = False
        self.gate_stream = gate.open(opened.first_sample, gate_state)
        self._stream = opened.stream
        self._wants_partials = opened.partial
        self._inbox: deque[bytes | Flush | Finish] = deque()
        self._marks = 0
        self._accepted = opened.first_sample  # by the gate
        self._judged = opened.first_sample
        self._received = opened.first_sample
        self._arrivals: deque[tuple[int, float]] = deque()
        self._queue: deque[_Segment | Silent | Flush | Finish] = deque()
        self._consumed = opened.first_sample
        self._numerals = numerals_of(opened.language) if opened.actual_numbers else None
        self._partials = Partials(numerals=self._numerals, stable_only=stable_only, windowed=windowed)

    # --- in ----------------------------------------------------------------------------------------------------------

    def receive(self, pcm: bytes, now: float) -> None:
        """Take audio.

        Raises LinkBroken when more is sent than the window allows, or anything after the finish.
        """
        self._received += len(pcm) // SAMPLE_BYTES
        if self._received - self._consumed > MAX_UNCONSUMED_SAMPLES:
            raise LinkBroken("More audio was sent than the window allows.")
        self._arrivals.append((self._received, now))
        self._put(pcm)

    def flush(self, frame: Flush | Finish) -> None:
        """End the open segment after the audio received so far. Raises LinkBroken when too many wait."""
        self._marks += 1
        if self._marks > MAX_WAITING_FLUSHES:
            raise LinkBroken("Too many flushes wait.")
        self._put(frame)

    def judged(self) -> None:
        """Take what the gate says of the windows it was stepped over, and give it what waits."""
        self._take_events()
        self._fill_gate()

    def _put(self, thing: bytes | Flush | Finish) -> None:
        if any(isinstance(waiting, Finish) for waiting in self._inbox) or self._finishing:
            raise LinkBroken("Something was sent after the finish.")
        self._inbox.append(thing)
        self._fill_gate()

    @property
    def _finishing(self) -> bool:
        return bool(self._queue) and isinstance(self._queue[-1], Finish)

    def _fill_gate(self) -> None:
        """Give the gate what came before the next flush; apply that once all of it is judged."""
        while self._inbox:
            head = self._inbox[0]
            if isinstance(head, bytes):
                self.gate_stream.accept(head)
                self._accepted += len(head) // SAMPLE_BYTES
            elif self.gate_stream.pending:
                return
            else:
                self.gate_stream.end_segment()
                self._take_events()
                self._queue.append(head)
            self._inbox.popleft()

    def _take_events(self) -> None:
        # A window counts as arrived with its last sample, a pre-roll with the window that made it one, and the windows
        # of one step with the first of them.
        judged_before, self._judged = self._judged, self.gate_stream.position
        first = min(judged_before + WINDOW_SAMPLES, self._judged)
        while self._arrivals and self._arrivals[0][0] < first:
            self._arrivals.popleft()
        arrived = self._arrivals[0][1] if self._arrivals else 0.0
        for event in self.gate_stream.take():
            if isinstance(event, Silent):
                self._queue.append(event)
            elif isinstance(event, SegmentOpened):
                self._queue.append(_Segment(event.first_sample))
            else:
                segment = self._queue[-1]
                assert isinstance(segment, _Segment), "speech outside a segment"
                segment.take(event, arrived, judged_before)

    # --- decoding ----------------------------------------------------------------------------------------------------

    @property
    def waiting_since(self) -> float | None:
        """Give when the oldest audio that waits for decoding arrived; None when none does."""
        segment = self._queue[0] if self._queue else None
        return segment.waiting_since if isinstance(segment, _Segment) else None

    def take_quantum(self, most_windows: int) -> Quantum:
        """Give the next piece to decode, when `waiting_since` says that there is one; `apply` its outcome.

        It holds so many windows at most; the first of a segment may hold OPENING_WINDOWS.
        """
        segment = self._queue[0]
        assert isinstance(segment, _Segment), "nothing waits"
        return segment.take_quantum(most_windows)

    @property
    def new_windows(self) -> int:
        """Count the windows of the quantum taken last that the gate had not held back and no quantum had before."""
        segment = self._queue[0]
        assert isinstance(segment, _Segment), "no quantum was taken"
        return segment.new_windows

    def spoken(self) -> tuple[int, tuple[bytes, ...]]:
        """Give the first sample and the windows of the segment of which the quantum was taken."""
        segment = self._queue[0]
        assert isinstance(segment, _Segment), "no quantum was taken"
        return segment.first_sample, segment.windows

    def apply(self, decoded: Decoded, now: float) -> list[Frame]:
        """Give the frames that follow from the quantum taken last.

        Raises EngineFailed when the engine breaks its bounds.
        """
        segment = self._queue[0]
        assert isinstance(segment, _Segment), "no quantum was taken"
        segment.decoded()
        if decoded.again:
            segment.rewind(now)
            return []
        if decoded.words is not None:
            self._queue.popleft()
            self._partials.clear()
            return [self._end(segment, decoded.words, decoded.resume)]
        frames: list[Frame] = []
        if self._wants_partials and decoded.partial and not segment.catching_up:
            sample = segment.decoded_sample
            said = self._partials.offer(decoded.partial, sample)
            if said is not None:
                text, stability = said
                frames.append(PartialResult(self._stream, text, sample, stability))
        return frames

    def _end(self, segment: _Segment, words: tuple[Word, ...], engine_state: bytes) -> Frame:
        assert segment.closed is not None, "finished before its end"
        self.engine_state = engine_state
        end, resume = segment.closed.end_sample, self._resume(segment.closed.state)
        if not words:
            return Settled(self._stream, end, resume)
        if self._numerals is not None:
            words = self._numerals.in_final(words)
        return FinalResult(self._stream, tuple(straighten(words, segment.first_sample, end)), end, resume)

    # --- out ---------------------------------------------------------------------------------------------------------

    def drain(self, *, fully: bool = False) -> list[Frame]:
        """Give the frames that need no decoding. What is consumed is said in steps, or `fully`."""
        frames: list[Frame] = []
        while self._queue and not isinstance(self._queue[0], _Segment):
            item = self._queue.popleft()
            if isinstance(item, Silent):
                frames.append(Settled(self._stream, item.sample, self._resume(item.state)))
            elif isinstance(item, Flush):
                self._marks -= 1
                frames.append(Flushed(self._stream, item.mark))
            else:
                self.finished = True
                frames.append(Finished(self._stream))
        consumed = self._decoded_sample
        if not self.finished and consumed - self._consumed >= (1 if fully else CONSUMED_STEP_SAMPLES):
            self._consumed = consumed
            frames.append(Consumed(self._stream, consumed))
        return frames

    @property
    def _decoded_sample(self) -> int:
        head = self._queue[0] if self._queue else None
        if isinstance(head, _Segment) and not head.all_decoded:
            return head.decoded_sample
        # Less than a window is left: it can only be kept, and the gateway is not to wait for it.
        return self.gate_stream.position if self.gate_stream.pending else self._accepted

    def _resume(self, gate_state: bytes) -> bytes:
        resume = msgspec.msgpack.encode((gate_state, self.engine_state))
        if len(resume) > MAX_RESUME_BYTES:
            raise EngineFailed("The decoder's state is too large.")
        return resume


class _Segment:
    """One utterance: its windows, kept until it ends in case the engine wants it again, and how far it is decoded."""

    def __init__(self, first_sample: int) -> None:
        self.first_sample = first_sample
        self.closed: SegmentClosed | None = None
        self._windows: list[bytes] = []
        self._arrivals: list[float] = []
        self._is_new: list[bool] = []
        self.new_windows = 0  # of the quantum taken last
        self._next = 0
        self._done = 0
        self._said_until = 0  # windows that were decoded before the engine wanted them again
        self._rewinds = 0
        self._finish_taken = False

    def take(self, event: Speech | SegmentClosed, arrived: float, judged_before: int) -> None:
        self._arrivals.append(arrived)
        if isinstance(event, SegmentClosed):
            self.closed = event
        else:
            self._windows.append(event.pcm)
            self._is_new.append(self.first_sample + len(self._windows) * WINDOW_SAMPLES > judged_before)

    @property
    def waiting_since(self) -> float | None:
        if self._next < len(self._windows) or (self.closed is not None and not self._finish_taken):
            return self._arrivals[self._next]
        return None

    @property
    def windows(self) -> tuple[bytes, ...]:
        return tuple(self._windows)

    @property
    def decoded_sample(self) -> int:
        # Only the last window of a segment may be short, and nothing is said of a segment after that but its end.
        return self.first_sample + self._done * WINDOW_SAMPLES

    @property
    def all_decoded(self) -> bool:
        return self._done == len(self._windows) and self.closed is None

    @property
    def catching_up(self) -> bool:
        return self._done < self._said_until

    def decoded(self) -> None:
        self._done = self._next

    def take_quantum(self, most_windows: int) -> Quantum:
        begin = None
        if self._next == 0:
            begin, most_windows = self.first_sample, max(most_windows, OPENING_WINDOWS)
        taken = slice(self._next, self._next + most_windows)
        windows = self._windows[taken]
        self.new_windows = sum(self._is_new[taken])
        self._next += len(windows)
        self._finish_taken = self.closed is not None and self._next == len(self._windows)
        return Quantum(begin, windows, self._finish_taken)

    def rewind(self, now: float) -> None:
        self._rewinds += 1
        if self._rewinds > MAX_AGAIN:
            raise EngineFailed("The decoder does not get on.")
        self._said_until = max(self._said_until, self._done)
        self._is_new[: self._done] = [False] * self._done
        self._next = self._done = 0
        self._finish_taken = False
        # It waits from now on: the age of the audio is no sign that the worker is behind.
        self._arrivals = [max(arrived, now) for arrived in self._arrivals]


def straighten(words: Iterable[Word], first_sample: int, end_sample: int) -> Iterable[tuple[str, int, int, float]]:
    """Give words as a frame carries them: times inside the segment and never going back, confidence inside 0…1."""
    at = first_sample
    for word in words:
        start = min(max(word.start_sample, at), end_sample)
        at = min(max(word.end_sample, start), end_sample)
        yield word.text, start, at, round(min(max(word.confidence, 0.0), 1.0), 3)


def read_resume(resume: bytes) -> tuple[bytes, bytes]:
    """Give the gate's and the engine's state.

    Raises LinkBroken when that is not what it holds.
    """
    if not resume:
        return b"", b""
    try:
        return _RESUME.decode(resume)
    except msgspec.DecodeError as error:
        raise LinkBroken("A stream was opened at a state that cannot be read.") from error
