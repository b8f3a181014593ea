"""The speech gate and endpointer: cuts a stream into utterances, and says up to where silence is settled.

Arithmetic on windows of 512 samples, counted from where the stream began: what comes out is a function of the samples
alone, however they were framed and whoever shared the call. Every `state` given out begins the same future elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Final

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, WINDOW_BYTES, WINDOW_SAMPLES
from scribewire.engines.detectors import Detector, EnergyDetector, Judgement, NoneDetector
from scribewire.engines.silero import SileroDetector
from scribewire.settings import GateSettings

# Below the opening threshold by this much an utterance is falling silent: Silero's own hysteresis.
HYSTERESIS: Final = 0.15
# Windows, about 100 ms: late in a long utterance a breath is a good enough end, better than one within a word.
BREATH: Final = 3
# Windows of silence that the decoder hears at once, a quarter of a second: its last word comes out by them. What is
# quiet for longer is kept back until speech resumes: at the end of a segment it would be a twentieth of all decoding,
# and change no word.
TAIL: Final = 8
# Windows between two snapshots, about a second: so much silence at most is kept and judged again after a loss.
SNAPSHOT: Final = 31
# Windows of each stream that are judged in a call, 128 ms: as many as a frame of 100 ms completes. A burst holds 125.
STEP_WINDOWS: Final = 4

DETECTORS: Final[dict[str, type[Detector]]] = {
    "silero": SileroDetector,
    "energy": EnergyDetector,
    "none": NoneDetector,
}

_RUNNING_ON: Final = b"\x01"
_AT_REST: Final = b"\x00"


@dataclass(frozen=True, slots=True)
class SegmentOpened:
    """An utterance began at `first_sample`, pre-roll included."""

    first_sample: int


@dataclass(frozen=True, slots=True)
class Speech:
    """More of the open segment: a window, or the shorter one that ends it. Silence at its end is left out."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class SegmentClosed:
    """The segment ended before `end_sample`, hang-over included. `state` opens the gate again there."""

    end_sample: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Silent:
    """No segment will begin before `sample`. `state` opens the gate again there."""

    sample: int
    state: bytes


GateEvent = SegmentOpened | Speech | SegmentClosed | Silent


class Rules:
    """The settings in whole windows."""

    def __init__(self, settings: GateSettings, opening_windows: int) -> None:
        self.opening_probability = settings.threshold
        self.closing_probability = settings.threshold - HYSTERESIS
        self.opening = opening_windows
        self.longest = int(settings.max_segment_s * SAMPLE_RATE_HZ / WINDOW_SAMPLES)
        self.late = self.longest * 3 // 4
        # Never so much that a segment would be cut as it opens.
        self.preroll = min(_windows(settings.preroll_ms), self.longest // 2)
        self.hangover = _windows(settings.hangover_ms)
        self.breath = min(BREATH, self.hangover)
        # A segment that opens with the next window reaches back this far at most.
        self.reach_samples = (self.preroll + self.opening - 1) * WINDOW_SAMPLES


class GateStream:
    """One stream before the gate. Fed at any size, stepped by its gate, read by `take`."""

    def __init__(self, rules: Rules, detector: Detector, first_sample: int, state: bytes) -> None:
        self._rules = rules
        self._detector = detector
        self._position = self._settled = first_sample
        self._rest = bytearray()
        self._windows: deque[bytes] = deque()
        self._events: list[GateEvent] = []
        self._running_on = state[:1] == _RUNNING_ON
        # What another detector remembered, after a change of the settings, counts as nothing.
        self.memory = state[1:] if len(state) == 1 + detector.memory_bytes else b""
        self._is_open = False
        self._segment_windows = 0
        self._quiet_windows = 0
        self._kept_back: list[bytes] = []
        # While silent: the windows that a segment may reach back to, and the snapshots that it still may void.
        self._held: deque[bytes] = deque(maxlen=rules.preroll + rules.opening)
        self._loud_windows = 0
        self._silent_windows = 0
        self._snapshots: deque[Silent] = deque()

    @property
    def pending(self) -> int:
        """Count the whole windows that wait for a step."""
        return len(self._windows)

    @property
    def position(self) -> int:
        """Give the first sample that is not judged yet."""
        return self._position

    def accept(self, pcm: bytes) -> None:
        """Take whole samples, s16le at 16 kHz, any number of them."""
        rest = self._rest
        rest += pcm
        whole_bytes = len(rest) - len(rest) % WINDOW_BYTES
        self._windows.extend(bytes(rest[at : at + WINDOW_BYTES]) for at in range(0, whole_bytes, WINDOW_BYTES))
        del rest[:whole_bytes]

    def take(self) -> list[GateEvent]:
        """Give what happened since this was asked last, in order."""
        events, self._events = self._events, []
        return events

    def end_segment(self) -> None:
        """End the open segment, and the window grid, at exactly the last sample accepted.

        Every pending window must have been stepped. Says SegmentClosed or Silent there, unless that was said already.
        """
        assert not self._windows, "step all windows first"
        if self._rest:
            tail = bytes(self._rest)
            self._rest.clear()
            [[judgement]] = self._detector.judge([[tail.ljust(WINDOW_BYTES, b"\0")]], [self.memory])
            self.judged(tail, judgement)
        if self._is_open:
            self._close(running_on=False)
        elif self._position > self._settled:
            self._say_silent(Silent(self._position, self._state()))
            self._begin_silence()

    def next_windows(self) -> list[bytes]:
        """Take the oldest pending windows, STEP_WINDOWS at most; for the gate, which gives each to `judged`."""
        windows = self._windows
        return [windows.popleft() for _ in range(min(STEP_WINDOWS, len(windows)))]

    def judged(self, pcm: bytes, judgement: Judgement) -> None:
        """Go on by one judged window."""
        self.memory = judgement.memory
        self._position += len(pcm) // SAMPLE_BYTES
        if self._is_open:
            self._go_on(pcm, judgement.probability)
        else:
            self._listen(pcm, judgement.probability)

    def _listen(self, pcm: bytes, probability: float) -> None:
        rules = self._rules
        self._held.append(pcm)
        self._loud_windows = self._loud_windows + 1 if probability >= rules.opening_probability else 0
        goes_on = self._running_on and probability >= rules.closing_probability
        self._running_on = False
        if goes_on or self._loud_windows >= rules.opening:
            self._open()
            return
        self._silent_windows += 1
        if self._silent_windows % SNAPSHOT == 0:
            self._snapshots.append(Silent(self._position, self._state()))
        while self._snapshots and self._position - self._snapshots[0].sample >= rules.reach_samples:
            self._say_silent(self._snapshots.popleft())

    def _open(self) -> None:
        held_samples = sum(len(pcm) for pcm in self._held) // SAMPLE_BYTES
        self._events.append(SegmentOpened(self._position - held_samples))
        self._events.extend(Speech(pcm) for pcm in self._held)
        self._is_open = True
        self._segment_windows = len(self._held)
        self._quiet_windows = 0

    def _go_on(self, pcm: bytes, probability: float) -> None:
        rules = self._rules
        self._segment_windows += 1
        self._quiet_windows = self._quiet_windows + 1 if probability < rules.closing_probability else 0
        self._kept_back.append(pcm)
        if self._quiet_windows <= TAIL:
            self._events.extend(map(Speech, self._kept_back))
            self._kept_back.clear()
        if self._quiet_windows >= (rules.breath if self._segment_windows > rules.late else rules.hangover):
            self._close(running_on=False)
        elif self._segment_windows >= rules.longest:
            self._close(running_on=True)

    def _close(self, *, running_on: bool) -> None:
        self._is_open = False
        self._running_on = running_on
        self._kept_back.clear()
        self._settled = self._position
        self._events.append(SegmentClosed(self._position, self._state()))
        self._begin_silence()

    def _begin_silence(self) -> None:
        self._held.clear()
        self._snapshots.clear()
        self._loud_windows = self._silent_windows = 0

    def _say_silent(self, silent: Silent) -> None:
        self._settled = silent.sample
        self._events.append(silent)

    def _state(self) -> bytes:
        # Counters need no place in it: where a state is given out they are zero, or void what they could have led to.
        return (_RUNNING_ON if self._running_on else _AT_REST) + self.memory


class Gate:
    """One detector and one set of rules for all streams of a worker."""

    def __init__(self, detector: Detector, settings: GateSettings) -> None:
        self._detector = detector
        self._rules = Rules(settings, detector.opening_windows)

    def open(self, first_sample: int, state: bytes = b"") -> GateStream:
        """Open a stream whose first sample is `first_sample`, fresh or at a state that was given out there."""
        return GateStream(self._rules, self._detector, first_sample, state)

    def step(self, streams: Iterable[GateStream]) -> None:
        """Judge what is pending of each stream, STEP_WINDOWS at most, all in one call of the detector."""
        ready = [stream for stream in streams if stream.pending]
        if not ready:
            return
        runs = [stream.next_windows() for stream in ready]
        judgements = self._detector.judge(runs, [stream.memory for stream in ready])
        for stream, windows, judged in zip(ready, runs, judgements, strict=True):
            for window, judgement in zip(windows, judged, strict=True):
                stream.judged(window, judgement)


def create_gate(settings: GateSettings) -> Gate:
    """Build the gate that the settings ask for.

    Raises EngineMissing when its detector's library or model is not installed.
    """
    return Gate(DETECTORS[settings.detector](), settings)


def _windows(milliseconds: int) -> int:
    return ceil(milliseconds * SAMPLE_RATE_HZ / (1000 * WINDOW_SAMPLES))
