"""The meeting: this gateway checks in with its peers every second, and knows how all of them stood last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from scribewire.core.policy import Demand
from scribewire.errors import StoreFailed
from scribewire.gateway import peers
from scribewire.gateway.peers import Peers, Standing

_log = logging.getLogger(__name__)

# A store that hangs: well within the lease, so that one slow answer does not cost the lead.
_CALL_WAIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """How all stand, and since the last time: was a worker asked for anywhere, and did this gateway take the lead?"""

    standing: Standing
    asked: bool
    took_lead: bool


class Meeting:
    """`run` goes on until it is cancelled. `shared` says that the workers are those of all gateways: one scales them.

    `carried` gives this gateway's live and waiting sessions; `on_change` hears each standing where they are shared.
    """

    def __init__(
        self,
        store_peers: Peers,
        *,
        shared: bool,
        carried: Callable[[], tuple[int, int]],
        on_change: Callable[[Change], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._peers = store_peers
        self._shared = shared
        self._carried = carried
        self._on_change = on_change
        self._standing: Standing | None = None
        self._leads = False
        self._certain_until = float("-inf")
        self._asked: int | None = None
        self._ask = False
        self._soon = asyncio.Event()
        self._refreshing: asyncio.Task[None] | None = None
        self._checking_in = asyncio.Lock()

    @property
    def scales(self) -> bool:
        """Say whether it is this gateway that scales its workers, and certainly no other."""
        return not self._shared or (self._leads and self._loop.time() < self._certain_until)

    def demand(self) -> Demand:
        """Give what the workers carry; this gateway's own figures are the newest."""
        live, waiting = self._carried()
        if self._standing is None or not self._shared:
            return Demand(live, waiting)
        return Demand(max(self._standing.live, live), max(self._standing.waiting, waiting))

    def ask(self) -> None:
        """Let all gateways know that a worker was asked for, at once."""
        self._ask = True
        self._soon.set()

    async def refresh(self) -> None:
        """Check in now, for who must not be told what was so a second ago. Callers share one."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._check_in(), name="check in")
        await asyncio.shield(self._refreshing)

    async def run(self) -> None:
        """Check in until cancelled."""
        while True:
            self._soon.clear()
            await self._check_in()
            with suppress(TimeoutError):
                async with asyncio.timeout(peers.CHECK_IN_S):
                    await self._soon.wait()

    async def leave(self) -> None:
        """Check out."""
        self._certain_until = float("-inf")
        # After a check-in that is under way, which would bring back what this takes away.
        async with self._checking_in:
            with suppress(StoreFailed, TimeoutError):
                async with asyncio.timeout(_CALL_WAIT_S):
                    await self._peers.check_out()

    async def _check_in(self) -> None:
        async with self._checking_in:
            await self._check_in_once()

    async def _check_in_once(self) -> None:
        live, waiting = self._carried()
        asking, self._ask = self._ask, False
        # From before the call: the lease may have begun at any moment of it.
        certain_until = self._loop.time() + peers.LEASE_S
        try:
            async with asyncio.timeout(_CALL_WAIT_S):
                standing = await self._peers.check_in(live=live, waiting=waiting, lead=self._shared, ask=asking)
        except (StoreFailed, TimeoutError) as error:
            self._ask = self._ask or asking
            _log.warning("The gateway could not check in with its peers", extra={"reason": str(error)})
            return
        # The first time there is nothing to go on from: what was wanted long ago may be out of date.
        led = self._standing is None or (self._leads and self._loop.time() < self._certain_until)
        self._standing, self._leads, self._certain_until = standing, standing.leads, certain_until
        asked = self._asked is not None and standing.asked != self._asked
        self._asked = standing.asked
        if standing.leads != led:
            _log.info("This gateway scales from now on" if standing.leads else "This gateway scales no longer")
        if self._shared:
            self._on_change(Change(standing, asked=asked, took_lead=standing.leads and not led))
