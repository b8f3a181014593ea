"""The scaler contract: scale to a count, observe every worker, say why not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """Where a worker's process or pod stands, as its platform sees it (readiness is what the link says)."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One worker as the platform shows it. `address` is `unix:<path>` or `tcp:<host>:<port>`, once it is known."""

    worker: str
    phase: Phase
    address: str | None = None
    reason: str = ""


class Scaler(ABC):
    """Starts and stops workers; decides nothing."""

    @abstractmethod
    async def scale(self, count: int, *, victims: Sequence[str] = ()) -> None:
        """Make it `count` workers. Idempotent; returns once asked, not once done. `victims` go first.

        Raises InitializeFailed when the platform refuses.
        """

    @abstractmethod
    async def observe(self) -> list[Sighting]:
        """Give every worker there is, failed ones included while they back off."""

    @abstractmethod
    async def close(self) -> None:
        """Stop every worker that would not outlive this process, and wait until it is gone."""
