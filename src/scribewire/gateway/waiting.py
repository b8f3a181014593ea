"""Sessions that wait for a slot: whose turn it is, and how soon slots become free."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
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
    """Sessions that lost their stream first; then key after key in turn, each key's sessions in the order they came.

    So a key with a hundred sessions in line delays another's first by one of them.
    """

    def __init__(self) -> None:
        self._replacing: deque[Waiter] = deque()
        self._by_key: dict[str, deque[Waiter]] = {}  # the key whose turn it is comes first; none is empty

    def __len__(self) -> int:
        return len(self._replacing) + sum(map(len, self._by_key.values()))

    def __iter__(self) -> Iterator[Waiter]:
        yield from self._replacing
        for turn in zip_longest(*self._by_key.values()):
            yield from (waiter for waiter in turn if waiter is not None)

    def head(self) -> Waiter | None:
        """Give whose turn it is."""
        return next(iter(self), None)

    def join(self, waiter: Waiter) -> None:
        """Take the last place."""
        if waiter.request.replacement:
            self._replacing.append(waiter)
        else:
            self._by_key.setdefault(waiter.request.key_id, deque()).append(waiter)

    def rejoin(self, waiter: Waiter) -> None:
        """Take the first place again, after a turn that came to nothing."""
        if waiter.request.replacement:
            self._replacing.appendleft(waiter)
            return
        key_id = waiter.request.key_id
        own = self._by_key.pop(key_id, deque())
        own.appendleft(waiter)
        self._by_key = {key_id: own, **self._by_key}

    def leave(self, waiter: Waiter, *, served: bool = False) -> None:
        """Give the place up; once it is `served`, it is the next key's turn. Twice is once."""
        key_id = waiter.request.key_id
        side = self._replacing if waiter.request.replacement else self._by_key.get(key_id, deque())
        if waiter not in side:
            return
        side.remove(waiter)
        if waiter.request.replacement:
            return
        if served or not side:
            del self._by_key[key_id]
        if served and side:
            self._by_key[key_id] = side


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
