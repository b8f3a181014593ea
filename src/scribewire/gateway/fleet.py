"""The fleet: one loop that keeps the workers moving towards the target, and gives every session its slot."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import suppress
from typing import Final, Protocol

from scribewire.certificates import trusting
from scribewire.core import policy
from scribewire.errors import (
    AtCapacity,
    EngineFailed,
    EngineMissing,
    InitializeFailed,
    LinkBroken,
    NeverReady,
    NotFound,
    ScaledDown,
    ScribewireError,
    ServiceStopping,
    UnknownLanguage,
    UnknownType,
)
from scribewire.frames import Opened, Refused
from scribewire.gateway.bounds import bounds_of
from scribewire.gateway.link import Listener, RemoteStream, StreamRequest, WorkerLink, connect
from scribewire.gateway.meeting import Change, Meeting
from scribewire.gateway.peers import Peers
from scribewire.gateway.roster import FleetView, Member, Status, WorkerPhase, WorkerView
from scribewire.gateway.tasks import begin_task, logged, within
from scribewire.gateway.waiting import Line, Turnover, Waiter
from scribewire.scalers.base import Phase, Scaler
from scribewire.settings import Settings

__all__ = ["Fleet", "FleetView", "Status", "Targets", "WorkerPhase", "WorkerView"]

_log = logging.getLogger(__name__)

PERIOD_S: Final = 0.25
# A scaler or store that hangs costs the loop this much, and nobody else anything.
SCALER_WAIT_S: Final = 10.0
STORE_WAIT_S: Final = 5.0
# A refused scale is tried again after this, and later each time.
REFUSED_FIRST_S: Final = 0.5
REFUSED_LAST_S: Final = 30.0
# How soon a worker is tried again: a cold start may lose this much, so little while it is young.
CONNECT_YOUNG_S: Final = 0.025
CONNECT_OLD_S: Final = 1.0
YOUNG_S: Final = 30.0
# A worker that was ready, fell silent and cannot be reached again within this is replaced, though its process lives.
HUNG_AFTER_S: Final = 5.0
# This many failures in a row end an initialize: waiting longer would not help.
HOPELESS_FAILURES: Final = 3
# A waiting session looks this often whether its deadline has moved, for readiness shortens it.
_RECHECK_S: Final = 1.0
_LONGEST_RETRY_S: Final = 60
# What only a worker can know, and no other worker of the fleet would answer differently.
_UNSERVED: Final = {leaf.code: leaf for leaf in (UnknownLanguage, UnknownType, EngineMissing)}


class Targets(Protocol):
    """Where the target outlives the gateway."""

    async def read_target(self) -> tuple[int, float] | None:
        """Give the count that was wanted last and when that was said (wall-clock Unix seconds); None at first."""

    async def write_target(self, count: int) -> None:
        """Keep the count, said now."""


class Fleet:
    """The workers of this gateway. `name` is how it introduces itself to them; with `peers`, one of them scales."""

    def __init__(
        self, settings: Settings, scaler: Scaler, targets: Targets, *, name: str, peers: Peers | None = None
    ) -> None:
        self._settings = settings
        self._scaler = scaler
        self._targets = targets
        self._name = name
        self._tls = trusting(settings.worker.authority)
        self._bounds = bounds_of(settings)
        self._loop = asyncio.get_running_loop()
        self._memory = policy.begin(self._bounds, self._loop.time())
        self._workers: dict[str, Member] = {}
        self._line = Line()
        self._turnover = Turnover()
        self._ready_since: float | None = None
        self._starting: asyncio.Future[None] | None = None
        self._kicked = asyncio.Event()
        self._reconciling: asyncio.Task[None] | None = None
        self._stopping = False
        self._unobserved: str | None = None
        self._refused_s = 0.0
        self._scale_not_before = 0.0
        self._written: tuple[int, float] | None = None
        self._meeting: Meeting | None = None
        if peers is not None:
            self._meeting = Meeting(
                peers,
                shared=scaler.shared,
                carried=lambda: (self.live, self.waiting),
                on_change=self._follow,
            )
        self._attending: asyncio.Task[None] | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Resume the target if it is younger than the idle time, and begin to reconcile."""
        stored = None
        with logged("The target could not be read"):
            stored = await within(STORE_WAIT_S, self._targets.read_target())
        if stored is not None and time.time() - stored[1] < self._bounds.idle_s:
            self._memory = policy.begin(self._bounds, self._loop.time(), resumed=stored[0])
        if self._meeting is not None:
            self._attending = begin_task(self._meeting.run(), "meet the other gateways")
        self._reconciling = begin_task(self._reconcile(), "reconcile the fleet")

    async def stop(self) -> None:
        """End all waiting, all links and all workers that are ours. Sessions should have ended before."""
        self._stopping = True
        self._settle_start(ServiceStopping())
        for waiter in self._line:
            if not waiter.slot.done():
                waiter.slot.set_exception(ServiceStopping())
        tasks = [worker.tending for worker in self._workers.values() if worker.tending is not None]
        tasks += [task for task in (self._reconciling, self._attending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._in_use() and self._scales:
            await self._write_target()
        if self._meeting is not None:
            await self._meeting.leave()
        with logged("The scaler could not be closed"):
            await within(SCALER_WAIT_S, self._scaler.close())

    # --- what it says -------------------------------------------------------------------------------------------------

    @property
    def live(self) -> int:
        """Count the streams of this gateway that hold a slot."""
        return sum(worker.link.live for worker in self._workers.values() if worker.link is not None)

    @property
    def waiting(self) -> int:
        """Count the sessions that wait for a slot."""
        return len(self._line)

    def status(self) -> Status:
        """Say how the service stands. Cheap."""
        if self._memory.wanted == 0:
            return Status.SCALED_DOWN
        return Status.READY if self._ready_since is not None else Status.STARTING

    async def refresh(self) -> None:
        """Look whether a worker is wanted elsewhere: what this gateway last heard of that may be a second old."""
        if self._meeting is not None and self.status() is Status.SCALED_DOWN:
            await self._meeting.refresh()

    def view(self) -> FleetView:
        """Give the whole fleet at this instant."""
        workers = tuple(worker.view() for worker in self._workers.values())
        return FleetView(self.status(), self._memory.wanted, self.live, self.waiting, workers)

    # --- initialize ---------------------------------------------------------------------------------------------------

    async def initialize(self) -> None:
        """Want a worker, and wait until one is ready. Callers share one start, which outlives any of them.

        Raises InitializeFailed when the scaler failed; NeverReady when no worker became ready in time, or they keep
        failing; ServiceStopping.
        """
        if not self._bounds.enabled:
            return
        if self._stopping:
            raise ServiceStopping
        self._want_one()
        if self._starting is not None:
            await asyncio.shield(self._starting)

    def _want_one(self) -> None:
        """Want a worker at least, and the idle time to begin anew, here and in every gateway."""
        self._memory = policy.initialize(self._memory, self._loop.time())
        if self._meeting is not None:
            self._meeting.ask()
        if self._starting is None and self.status() is not Status.READY:
            self._starting = self._begin_start()

    def _begin_start(self) -> asyncio.Future[None]:
        start: asyncio.Future[None] = self._loop.create_future()
        deadline = self._loop.call_later(self._settings.autoscaling.start_wait_s, self._settle_start, NeverReady())
        start.add_done_callback(lambda _: deadline.cancel())
        # Every caller may be gone by then, and nobody left to take the error.
        start.add_done_callback(lambda done: done.exception())
        self._scale_not_before = 0.0
        self._kicked.set()
        return start

    def _settle_start(self, error: ScribewireError | None) -> None:
        start, self._starting = self._starting, None
        if start is None:
            return
        if error is None:
            start.set_result(None)
            return
        _log.error("The service did not start", extra={"code": error.code, "sentence": str(error)})
        start.set_exception(error)

    def drain(self, name: str) -> None:
        """Have a worker take no more streams and end with its last: its sessions move, and it is replaced.

        Raises NotFound when there is none of that name.
        """
        worker = self._workers.get(name)
        if worker is None:
            raise NotFound
        _log.info("A worker is to be drained", extra={"worker": name})
        worker.drain_asked = True
        if worker.link is not None:
            worker.link.drain()
        self._kicked.set()

    # --- slots --------------------------------------------------------------------------------------------------------

    async def open_stream(self, request: StreamRequest, listener: Listener) -> RemoteStream:
        """Give the session a stream in some worker, waiting its turn. Cancelled, it leaves nothing behind.

        The listener hears nothing before this returns. Raises ScaledDown when no worker is wanted (a replacement waits
        even then, and with wake_on_start one is wanted), AtCapacity when none had a free slot in time, EngineFailed
        when that happens to a replacement, UnknownLanguage, UnknownType or EngineMissing when the workers do not serve
        it, ServiceStopping.
        """
        if self._stopping:
            raise ServiceStopping
        await self.refresh()
        if self.status() is Status.SCALED_DOWN and not request.replacement:
            if not self._settings.autoscaling.wake_on_start:
                raise ScaledDown
            self._want_one()
        if self.waiting >= self._settings.limits.sessions:
            raise AtCapacity(retry_after_s=self._retry_after_s())
        waiter = Waiter(request, listener, self._loop.time(), self._loop.create_future())
        self._line.join(waiter)
        while True:
            stream = await self._wait_slot(waiter)
            answer = await stream.hand_over()
            if isinstance(answer, Opened):
                return stream
            if isinstance(answer, Refused) and answer.code in _UNSERVED:
                raise _UNSERVED[answer.code](answer.sentence)
            _log.info(
                "A worker gave no slot",
                extra={"session_id": request.session, "worker": stream.worker, "answer": type(answer).__name__},
            )
            waiter.shunned.add(stream.worker)
            waiter.slot = self._loop.create_future()
            self._line.rejoin(waiter)

    async def _wait_slot(self, waiter: Waiter) -> RemoteStream:
        """Wait until a stream is placed for it, and leave the line however that ends."""
        try:
            self._place()
            if not waiter.slot.done():
                self._kicked.set()
            while not waiter.slot.done():
                await asyncio.wait([waiter.slot], timeout=min(self._left_s(waiter), _RECHECK_S))
        except asyncio.CancelledError:
            if waiter.slot.done() and waiter.slot.exception() is None:
                waiter.slot.result().abort()
            raise
        finally:
            self._line.leave(waiter)
        return waiter.slot.result()

    def _left_s(self, waiter: Waiter) -> float:
        """Give the seconds that it may still wait.

        Raises what is to be said when there are none.
        """
        bounds, now, status = self._settings, self._loop.time(), self.status()
        if waiter.request.replacement:
            error: ScribewireError = EngineFailed()
            left_s = waiter.since + bounds.session.replace_wait_s - now
        elif status is Status.SCALED_DOWN:
            raise ScaledDown
        elif status is Status.STARTING:
            error = AtCapacity(retry_after_s=self._retry_after_s())
            left_s = waiter.since + bounds.autoscaling.start_wait_s - now
        else:
            error = AtCapacity(retry_after_s=self._retry_after_s())
            left_s = max(waiter.since, self._ready_since or 0.0) + bounds.session.slot_wait_s - now
        if left_s <= 0:
            raise error
        return left_s

    def _place(self) -> None:
        """Give free slots to those who wait, in their order."""
        while (waiter := self._line.head()) is not None:
            link = self._roomiest(waiter.shunned)
            if link is None:
                return
            self._line.leave(waiter, served=True)
            if not waiter.slot.done():
                waiter.slot.set_result(link.open(waiter.request, waiter.listener))
                self._turnover.took()

    def _roomiest(self, shunned: set[str]) -> WorkerLink | None:
        free = [worker for worker in self._workers.values() if worker.free]
        best = max(free, key=lambda worker: (worker.sighting.worker not in shunned, worker.free), default=None)
        return best.link if best is not None else None

    def _retry_after_s(self) -> int:
        """Estimate when a slot will be free for one more."""
        wait_s = self._turnover.wait_s(self.waiting + 1, self._loop.time())
        if wait_s is None:
            return math.ceil(self._settings.session.slot_wait_s)
        return min(max(1, math.ceil(wait_s)), _LONGEST_RETRY_S)

    # --- reconciling --------------------------------------------------------------------------------------------------

    async def _reconcile(self) -> None:
        while True:
            self._kicked.clear()
            # First: from it the other gateways know that a worker is wanted, however long the scaler takes.
            if self._scales and self._target_is_stale():
                await self._write_target()
            await self._observe()
            await self._move()
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_S):
                    await self._kicked.wait()

    async def _observe(self) -> None:
        """Take in what the scaler sees: tend what runs, let go of what is gone."""
        try:
            sightings = await within(SCALER_WAIT_S, self._scaler.observe())
        except (ScribewireError, TimeoutError) as error:
            # Four times a second, it would say.
            if str(error) != self._unobserved:
                _log.warning("The workers could not be observed", extra={"reason": str(error)})
            self._unobserved = str(error)
            return
        self._unobserved = None
        known, self._workers = self._workers, {}
        gone: list[Member] = []
        for sighting in sightings:
            worker = known.pop(sighting.worker, None) or Member(sighting)
            worker.sighting = sighting
            worker.retiring = False
            self._workers[sighting.worker] = worker
            if sighting.phase is Phase.RUNNING and worker.tending is None and sighting.address is not None:
                worker.tending = begin_task(self._tend(worker, sighting.address), f"tend {sighting.worker}")
            elif sighting.phase is Phase.FAILED:
                gone.append(worker)
        for worker in (*gone, *known.values()):
            await worker.let_go()
        self._changed(kick=False)

    async def _move(self) -> None:
        """Ask the policy, and the scaler for what it says."""
        if not self._scales:
            return
        now = self._loop.time()
        if self._starting is not None:
            self._memory = policy.initialize(self._memory, now)
        staying = [worker for worker in self._workers.values() if worker.phase is not WorkerPhase.STOPPING]
        demand = self._meeting.demand() if self._meeting else policy.Demand(self.live, self.waiting)
        before = self._memory.wanted
        loads = [worker.load for worker in self._workers.values()]
        decision = policy.decide(demand, loads, self._bounds, self._memory, now)
        self._memory = decision.memory
        if decision.wanted != before:
            _log.info("Another number of workers is wanted", extra={"wanted": decision.wanted, "before": before})
        replaced = [worker.sighting.worker for worker in staying if worker.drain_asked or _is_hung(worker, now)]
        if (decision.count, decision.victims, replaced) == (len(staying), (), []) or now < self._scale_not_before:
            return
        victims = tuple(dict.fromkeys((*decision.victims, *replaced)))
        for name in victims:
            self._workers[name].retiring, self._workers[name].drain_asked = True, False
        self._changed(kick=False)
        if await self._scale(decision.count, victims):
            await self._observe()

    async def _scale(self, count: int, victims: tuple[str, ...]) -> bool:
        try:
            await within(SCALER_WAIT_S, self._scaler.scale(count, victims=victims))
        except InitializeFailed as error:
            failure = error
        except TimeoutError:
            failure = InitializeFailed("the platform did not answer in time")
        else:
            self._refused_s = 0.0
            return True
        self._refused_s = min(max(REFUSED_FIRST_S, 2 * self._refused_s), REFUSED_LAST_S)
        self._scale_not_before = self._loop.time() + self._refused_s
        _log.error("The workers could not be scaled", extra={"wanted": count, "reason": failure.details})
        if self._starting is not None:
            # Nothing is coming, so nobody should be told that it is.
            self._memory = policy.begin(self._bounds, self._loop.time())
            self._settle_start(failure)
        return False

    # --- other gateways -----------------------------------------------------------------------------------------------

    @property
    def _scales(self) -> bool:
        return self._meeting is None or self._meeting.scales

    def _follow(self, change: Change) -> None:
        """Want what is wanted, unless it is this gateway that says so."""
        now = self._loop.time()
        if change.took_lead or not change.standing.leads:
            self._memory = policy.begin(self._bounds, now, resumed=change.standing.wanted)
        if change.asked or self._starting is not None:
            self._memory = policy.initialize(self._memory, now)
        self._kicked.set()

    # --- links --------------------------------------------------------------------------------------------------------

    async def _tend(self, worker: Member, address: str) -> None:
        """Keep a link to a worker for as long as it is there."""
        begun = self._loop.time()
        try:
            while True:
                try:
                    worker.link = await connect(
                        worker.sighting.worker,
                        worker.sighting.address or address,  # a pod that is back has another
                        gateway=self._name,
                        secret=self._settings.worker.secret,
                        tls=self._tls,
                        on_change=self._changed,
                    )
                except LinkBroken as error:
                    worker.unreachable = str(error)
                else:
                    worker.lost_since, worker.unreachable = None, ""
                    await self._hold(worker, worker.link)
                young = self._loop.time() - begun < YOUNG_S
                await asyncio.sleep(CONNECT_YOUNG_S if young else CONNECT_OLD_S)
        finally:
            link, worker.link = worker.link, None
            if link is not None:
                link.close()

    async def _hold(self, worker: Member, link: WorkerLink) -> None:
        self._changed()
        await link.wait_lost()
        worker.link = None
        worker.unreachable = link.lost_reason or ""
        if worker.sighting.phase is Phase.RUNNING:
            _log.warning("A worker was lost", extra={"worker": link.worker, "reason": worker.unreachable})
            if link.load is not None and link.load.phase == "ready":
                worker.lost_since = self._loop.time()
        self._kicked.set()

    def _changed(self, *, kick: bool = True) -> None:
        """Take in that a link came, went, or said something new; `kick` unless it is the reconciling that says so."""
        now = self._loop.time()
        self._turnover.holds(self.live, now)
        ready = any(worker.phase is WorkerPhase.READY for worker in self._workers.values())
        if ready and self._ready_since is None:
            self._ready_since = now
            if kick:
                self._kicked.set()
        elif not ready:
            self._ready_since = None
        if ready:
            self._settle_start(None)
        elif self._workers and all(w.sighting.failures >= HOPELESS_FAILURES for w in self._workers.values()):
            self._settle_start(NeverReady())
        self._place()

    # --- the target ---------------------------------------------------------------------------------------------------

    def _in_use(self) -> bool:
        return self._memory.wanted > 0 and self._loop.time() - self._memory.last_used < self._bounds.idle_s / 2

    def _target_is_stale(self) -> bool:
        """Say whether the stored target is another one, or too old for how lately the service was used."""
        if self._written is None or self._written[0] != self._memory.wanted:
            return True
        return self._memory.last_used - self._written[1] >= min(self._bounds.idle_s / 10, 30.0)

    async def _write_target(self) -> None:
        with logged("The target could not be written"):
            await within(STORE_WAIT_S, self._targets.write_target(self._memory.wanted))
        self._written = (self._memory.wanted, self._loop.time())


def _is_hung(worker: Member, now: float) -> bool:
    return worker.lost_since is not None and now - worker.lost_since >= HUNG_AFTER_S
