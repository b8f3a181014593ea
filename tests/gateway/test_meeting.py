"""A gateway that meets the others: what it leaves behind when it goes."""

from __future__ import annotations

import asyncio
from typing import Any

from scribewire.gateway.meeting import Meeting
from scribewire.gateway.peers import Peers, Standing
from scribewire.gateway.store import Store


class SlowToCheckIn(Peers):
    """Checks in once `may` is set."""

    def __init__(self, store: Store, name: str) -> None:
        super().__init__(store, name)
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    async def check_in(self, **carried: Any) -> Standing:
        self.asked.set()
        await self.may.wait()
        return await super().check_in(**carried)


async def test_who_leaves_while_it_checks_in_leaves_nothing_behind(store: Store) -> None:
    slow = SlowToCheckIn(store, "one")
    meeting = Meeting(slow, shared=True, carried=lambda: (3, 1), on_change=lambda change: None)
    refreshing = asyncio.create_task(meeting.refresh())
    await slow.asked.wait()
    leaving = asyncio.create_task(meeting.leave())
    await asyncio.wait([leaving], timeout=0.1)
    slow.may.set()
    await asyncio.gather(refreshing, leaving)
    standing = await Peers(store, "two").check_in(live=0, waiting=0)
    assert (standing.leads, standing.live, standing.waiting) == (True, 0, 0)
