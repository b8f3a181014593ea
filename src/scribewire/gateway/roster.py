"""The roster: how the service and each of its workers stand, platform and link taken together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum

from scribewire.core import policy
from scribewire.frames import Load
from scribewire.gateway.link import WorkerLink
from scribewire.scalers.base import Phase, Sighting


class Status(Enum):
    """How the service stands, as the control plane spells it."""

    SCALED_DOWN = "scaled_down"
    STARTING = "starting"
    READY = "ready"


class WorkerPhase(Enum):
    """How one worker stands, its platform and its link taken together."""

    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker for metrics and administrators. `pid` is 0 while there is no link."""

    worker: str
    phase: WorkerPhase
    slots: int
    live: int
    rtf: float
    lag_s: float
    cpu_s: float
    memory_bytes: int
    pid: int
    reason: str


@dataclass(frozen=True, slots=True)
class FleetView:
    """The fleet at one instant."""

    status: Status
    target: int
    live: int
    waiting: int
    workers: tuple[WorkerView, ...]


@dataclass(slots=True, eq=False)
class Member:
    """One worker on the roster.

    `retiring` marks a victim from the decision to the scaler's next sighting, `drain_asked` one that the scaler is to
    replace. `unreachable` says why there is no link,
    `lost_since` (monotonic) since when, if the worker had been ready before.
    """

    sighting: Sighting
    link: WorkerLink | None = None
    tending: asyncio.Task[None] | None = None
    retiring: bool = False
    drain_asked: bool = False
    unreachable: str = ""
    lost_since: float | None = None

    @property
    def said(self) -> Load | None:
        """Give what the worker said last of itself; None without a link."""
        return self.link.load if self.link is not None and self.link.lost_reason is None else None

    @property
    def phase(self) -> WorkerPhase:
        """Say how it stands."""
        if self.sighting.phase is not Phase.RUNNING:
            return WorkerPhase(self.sighting.phase.value)
        if self.retiring:
            return WorkerPhase.STOPPING
        if self.link is None or self.said is None:
            return WorkerPhase.STARTING
        return WorkerPhase.DRAINING if self.link.draining else WorkerPhase(self.said.phase)

    @property
    def live(self) -> int:
        """Count its sessions: ours, or what it says if that is more, for it may serve another gateway too."""
        return max(self.link.live if self.link else 0, self.said.live if self.said else 0)

    @property
    def free(self) -> int:
        """Count the streams that may be opened in it now."""
        return self.link.free if self.link is not None and self.phase is WorkerPhase.READY else 0

    @property
    def load(self) -> policy.WorkerLoad:
        """Give what the policy looks at."""
        phase = self.phase
        slots = self.said.slots if self.said and phase is WorkerPhase.READY else None
        return policy.WorkerLoad(self.sighting.worker, slots, self.live, ending=phase is WorkerPhase.STOPPING)

    async def let_go(self) -> None:
        """End its link, and forget what was held against it."""
        tending, self.tending, self.lost_since = self.tending, None, None
        if tending is not None:
            tending.cancel()
            await asyncio.wait([tending])

    def view(self) -> WorkerView:
        """Give what metrics and administrators look at."""
        said = self.said
        return WorkerView(
            worker=self.sighting.worker,
            phase=self.phase,
            slots=said.slots if said else 0,
            live=self.live,
            rtf=said.rtf if said else 0.0,
            lag_s=said.lag_s if said else 0.0,
            cpu_s=said.cpu_s if said else 0.0,
            memory_bytes=said.memory_bytes if said else 0,
            pid=self.link.pid if self.link else 0,
            reason=self.sighting.reason or (said.reason if said else self.unreachable),
        )
