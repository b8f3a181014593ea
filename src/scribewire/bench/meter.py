"""What a run measures as it goes: plain columns of numbers, so that a thousand sessions for an hour fit."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from scribewire.client import Word
from scribewire.errors import ScribewireError

RECENT_S: Final = 5.0


@dataclass(slots=True)
class Heard:
    """What came of one session. Times are seconds it took; None is what did not happen.

    `unstable_words` were shown in a partial and not kept by the message after it. `error` ended the session before its
    time, `refused` says that this was before it listened and because the service had no room.
    """

    place: int
    connect_s: float | None = None
    listening_s: float | None = None
    first_partial_s: float | None = None
    final_s: float | None = None
    stopped_s: float | None = None
    sent_s: float = 0.0
    partials: int = 0
    unstable_words: int = 0
    final_words: int = 0
    words: list[Word] = field(default_factory=list)
    error: ScribewireError | None = None
    refused: bool = False


class Meter:
    """The columns of all sessions of a run. Times are monotonic."""

    def __init__(self) -> None:
        self.live = 0
        self.partials = 0
        self.errors = 0
        # When a partial came, and how late.
        self.partial_at = array("d")
        self.lag_s = array("d")
        # When a frame was due, and how late this program was with it; what the service held back is not its fault.
        self.frame_at = array("d")
        self.late_s = array("d")
        self._recent: deque[tuple[float, float]] = deque()

    def sent(self, due: float, *, late_s: float) -> None:
        """Note a frame."""
        self.frame_at.append(due)
        self.late_s.append(late_s)

    def heard_partial(self, now: float, lag_s: float) -> None:
        """Note a partial."""
        self.partials += 1
        self.partial_at.append(now)
        self.lag_s.append(lag_s)
        self._recent.append((now, lag_s))
        self._forget(now)

    def recent_lag_s(self, now: float) -> list[float]:
        """Give the lags of the last RECENT_S."""
        self._forget(now)
        return [lag_s for _, lag_s in self._recent]

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - RECENT_S:
            self._recent.popleft()
