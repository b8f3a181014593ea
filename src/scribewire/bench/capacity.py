"""The search for the most sessions that a service holds: probes, and why the first too many was too many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import msgspec

from scribewire.bench.figures import Figures
from scribewire.bench.search import Search

# Past what one program can load; a search that comes so far has found no bound.
MOST_SESSIONS: Final = 10_000


class Verdict(StrEnum):
    """How a probe went."""

    HELD = "held"
    LATE = "lag over the bound"
    REFUSED = "sessions refused"
    FAILED = "sessions failed"
    SILENT = "no partials"
    UNTRUSTED = "the generator fell behind itself"


class Probe(msgspec.Struct, frozen=True):
    """One number of sessions and how it went."""

    sessions: int
    verdict: Verdict
    figures: Figures


class Capacity(msgspec.Struct, frozen=True):
    """The most sessions that held, 0 when none did; the probes in the order they were made."""

    largest: int
    bound_ms: float
    probes: list[Probe]

    @property
    def best(self) -> Probe | None:
        """Give the probe of the largest number that held."""
        return next((probe for probe in self.probes if probe.sessions == self.largest), None)

    @property
    def limit(self) -> Probe | None:
        """Give the probe of the smallest number that did not hold."""
        return min((p for p in self.probes if p.verdict is not Verdict.HELD), key=lambda p: p.sessions, default=None)


def judge(figures: Figures, bound_ms: float) -> Verdict:
    """Say whether a run held: everybody served, with partials whose p95 lag is within the bound."""
    if figures.refused:
        return Verdict.REFUSED
    if figures.failed:
        return Verdict.FAILED
    if not figures.trusted:
        return Verdict.UNTRUSTED
    if figures.lag_ms is None:
        return Verdict.SILENT
    return Verdict.HELD if figures.lag_ms.p95 <= bound_ms else Verdict.LATE


async def find_capacity(
    probe: Callable[[int], Awaitable[Figures]], *, first: int, bound_ms: float, on_probe: Callable[[Probe], None]
) -> Capacity:
    """Probe with more and fewer sessions until the largest number that holds is known, or a probe is interrupted."""
    search = Search(first, MOST_SESSIONS)
    probes: list[Probe] = []
    while (sessions := search.propose()) is not None:
        figures = await probe(sessions)
        if figures.interrupted:
            break
        probes.append(made := Probe(sessions, judge(figures, bound_ms), figures))
        on_probe(made)
        search.tell(sessions, held=made.verdict is Verdict.HELD)
    return Capacity(search.largest, bound_ms, probes)
