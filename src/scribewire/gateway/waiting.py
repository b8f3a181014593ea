"""Sessions that wait for a slot: whose turn it is, and how soon slots become free."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from scribewire.gateway.link import Listener, RemoteStream, StreamRequest

_RELEASES_KEPT: Final = 32


@dataclass(slots=True, eq=False)
class Waiter:
    """One session in line since `since` (monotonic); `slot` is the stream that is placed for it, not yet answered."""

    request: StreamRequest
    listener: Listener
    since: float
    slot: asyncio.Future[RemoteStream]
    # Workers that refused it or broke under it: the others are asked first.
    shunned: set[str] = field(default_factory=set)


class Line:
    """First come, first served, but sessions that lost their stream before those that had none yet."""

    def __init__(self) -> None:
        self._replacing: deque[Waiter] = deque()
        self._waiting: deque[Waiter] = deque()

    def __len__(self) -> int:
        return len(self._replacing) + len(self._waiting)

    def __iter__(self) -> Iterator[Waiter]:
        yield from self._replacing
        yield from self._waiting

    def head(self) -> Waiter | None:
        """Give whose turn it is."""
        return next(iter(self), None)

    def join(self, waiter: Waiter) -> None:
        """Take the last place."""
        self._side(waiter).append(waiter)

    def rejoin(self, waiter: Waiter) -> None:
        """Take the first place again, after a turn that came to nothing."""
        self._side(waiter).appendleft(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Give the place up. Twice is once."""
        with suppress(ValueError):
            self._side(waiter).remove(waiter)

    def _side(self, waiter: Waiter) -> deque[Waiter]:
        return self._replacing if waiter.request.replacement else self._waiting


class Turnover:
    """The pace at which slots became free of late."""

    def __init__(self) -> None:
        self._held = 0
        self._releases: deque[float] = deque(maxlen=_RELEASES_KEPT)

    def took(self) -> None:
        """Note that a slot was taken."""
        self._held += 1

    def holds(self, held: int, now: float) -> None:
        """Note how many slots are held; those that are fewer became free by `now`."""
        self._releases.extend([now] * (self._held - held))
        self._held = held

    def wait_s(self, places: int, now: float) -> float | None:
        """Estimate the seconds until so many more slots are free; None while none ever was."""
        if not self._releases:
            return None
        return places * (now - self._releases[0]) / len(self._releases)
