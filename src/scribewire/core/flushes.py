"""Flushes: the places in the audio where a client asked for finals, sent in their place, answered in their order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

MAX_FLUSHES: Final = 64  # unanswered; a client that asks more often than a worker can answer is mistaken


@dataclass(frozen=True, slots=True)
class Flush:
    """One of them: `mark` is ours and counts up, `id` is the client's."""

    mark: int
    id: str | int | None
    sample: int


class FlushQueue:
    """The unanswered ones, of which the present stream knows the first few."""

    def __init__(self) -> None:
        self._queue: deque[Flush] = deque()
        self._marks = 0
        self._sent = 0

    @property
    def full(self) -> bool:
        """Say whether another one is too many."""
        return len(self._queue) >= MAX_FLUSHES

    @property
    def sent(self) -> bool:
        """Say whether the stream owes an answer."""
        return self._sent > 0

    @property
    def next(self) -> Flush | None:
        """Give the first that the stream does not know yet."""
        return self._queue[self._sent] if self._sent < len(self._queue) else None

    def add(self, flush_id: str | int | None, *, sample: int) -> None:
        """Queue another, at or after the place of the last."""
        self._marks += 1
        self._queue.append(Flush(self._marks, flush_id, sample))

    def mark_sent(self) -> None:
        """Note that the stream was told of `next`."""
        self._sent += 1

    def rewind(self) -> None:
        """Begin again for another stream, which knows of none."""
        self._sent = 0

    def answer(self, mark: int) -> Flush | None:
        """Take the first one out if `mark` is its; anything else is not an answer that is owed."""
        if not self._sent or self._queue[0].mark != mark:
            return None
        self._sent -= 1
        return self._queue.popleft()

    def drain(self) -> list[Flush]:
        """Take all out: every final there can be has been given."""
        rest = list(self._queue)
        self._queue.clear()
        self._sent = 0
        return rest
