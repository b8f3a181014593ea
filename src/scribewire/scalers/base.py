"""The scaler contract: scale to a count, observe every worker, say why not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from scribewire.errors import BadSettings


class Phase(Enum):
    """Where a worker's process or pod stands, as its platform sees it (readiness is what the link says)."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One worker as the platform shows it. `address` is `unix:<path>` or `tcp:<host>:<port>`, once it is known.

    `failures` counts how often in a row it failed without having been healthy in between.
    """

    worker: str
    phase: Phase
    address: str | None = None
    reason: str = ""
    failures: int = 0


class Scaler(ABC):
    """Starts and stops workers; decides nothing. `shared` says that other gateways' sessions may use them too."""

    shared: ClassVar[bool] = True

    @abstractmethod
    async def scale(self, count: int, *, victims: Sequence[str] = ()) -> None:
        """Make it `count` workers. Idempotent; returns once asked, not once done.

        `victims` stop in any case, so that naming one beside an unchanged count replaces it. A worker that is
        stopping no longer counts. Raises InitializeFailed when the platform refuses.
        """

    @abstractmethod
    async def observe(self) -> list[Sighting]:
        """Give every worker there is, oldest first, failed ones included while they back off."""

    @abstractmethod
    async def close(self) -> None:
        """Stop every worker that would not outlive this process, and wait until it is gone."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix stream socket."""

    path: str


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP port."""

    host: str
    port: int


def parse_address(text: str) -> UnixAddress | TcpAddress:
    """Read `unix:<path>` or `tcp:<host>:<port>`; an IPv6 host stands in brackets.

    Raises BadSettings on anything else.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        return UnixAddress(rest)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536:
        return TcpAddress(host.removeprefix("[").removesuffix("]"), int(port))
    raise BadSettings(f"{text!r} is not the address of a worker: use unix:<path> or tcp:<host>:<port>.")
