"""Who is decoded next: the stream whose oldest undecoded audio is oldest, in bounded quanta. Pure; time is an argument.

Audio that comes faster than real time is charged to its stream: after 100 ms of new audio the next counts as due 100 ms
later, however long ago it arrived. So a burst takes what the others leave, and a stream that fell behind catches up.
What is not new, a pre-roll or what an engine wants once more, is free: all streams have it, and none can help it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from scribewire.core.audio import SAMPLE_RATE_HZ, WINDOW_SAMPLES

WINDOW_S: Final = WINDOW_SAMPLES / SAMPLE_RATE_HZ
# About 100 ms of audio a grant while streams keep up; about 300 when they are behind, which saves round trips, and
# partials that would be replaced before they were read.
QUANTUM_WINDOWS: Final = 3
BEHIND_WINDOWS: Final = 9
BEHIND_S: Final = 0.1

K = TypeVar("K")


@dataclass(slots=True)
class _Turn:
    """A stream's place. `floor` is the earliest time at which its next audio counts as due."""

    kind: object
    batch: int
    floor: float = float("-inf")
    granted_due: float | None = None


@dataclass(frozen=True, slots=True)
class Grant(Generic[K]):
    """Streams of one kind to decode together, the first of them the one most due, each by at most so many windows."""

    streams: tuple[K, ...]
    windows: int


class Scheduler(Generic[K]):
    """Orders streams. Each is waiting, granted or idle; only who waits is granted."""

    def __init__(self) -> None:
        self._turns: dict[K, _Turn] = {}
        self._waiting: dict[K, float] = {}

    def add(self, stream: K, *, kind: object, batch: int) -> None:
        """Take on a stream, idle. Streams of one kind may be granted together, up to `batch`."""
        self._turns[stream] = _Turn(kind, batch)

    def remove(self, stream: K) -> None:
        """Forget a stream. Twice is once."""
        self._turns.pop(stream, None)
        self._waiting.pop(stream, None)

    def want(self, stream: K, arrived: float | None) -> None:
        """Say when the oldest undecoded audio of a stream arrived; None makes it idle.

        A granted stream is not asked again before `charge` was called for it.
        """
        turn = self._turns.get(stream)
        if turn is None or turn.granted_due is not None:
            return
        if arrived is None:
            self._waiting.pop(stream, None)
        else:
            self._waiting[stream] = max(arrived, turn.floor)

    def pick(self, now: float) -> Grant[K] | None:
        """Grant the stream most due, with others of its kind; None when nobody waits."""
        if not self._waiting:
            return None
        first = min(self._waiting, key=self._waiting.__getitem__)
        turn, due = self._turns[first], self._waiting[first]
        streams = [first]
        if turn.batch > 1:
            like = [stream for stream in self._waiting if self._turns[stream].kind is turn.kind and stream != first]
            streams += sorted(like, key=self._waiting.__getitem__)[: turn.batch - 1]
        for stream in streams:
            self._turns[stream].granted_due = self._waiting.pop(stream)
        return Grant(tuple(streams), BEHIND_WINDOWS if now - due > BEHIND_S else QUANTUM_WINDOWS)

    def charge(self, stream: K, new_windows: int, now: float) -> None:
        """Say how much new audio of a grant was decoded; the stream is idle until `want` says otherwise."""
        turn = self._turns.get(stream)
        if turn is None or turn.granted_due is None:
            return
        # From its due time, so that who is behind is not punished for it; from now at the latest, so that what was
        # decoded while nobody else wanted to be is not held against it later.
        turn.floor = min(turn.granted_due, now) + new_windows * WINDOW_S
        turn.granted_due = None

    def lag_s(self, now: float) -> float:
        """Give for how long the audio that is most due has waited."""
        granted = [turn.granted_due for turn in self._turns.values() if turn.granted_due is not None]
        return max(0.0, now - min([*self._waiting.values(), *granted], default=now))
