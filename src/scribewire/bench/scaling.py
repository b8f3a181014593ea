"""The policy beside fixed fleets on the same day: what each costs, and what its clients wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
from rich.table import Table

from scribewire.bench.day import DAY_S
from scribewire.bench.figures import percentile
from scribewire.core.policy import Bounds
from scribewire.core.simulation import Arrival, Outcome, Sample, World, simulate

POLICY = "policy"


class Row(msgspec.Struct, frozen=True):
    """What a day came to for one fleet. `refused` sessions waited in vain; `moved` ones were carried on elsewhere."""

    fleet: str
    served: int
    refused: int
    wait_p50_s: float
    wait_p95_s: float
    wait_p99_s: float
    worker_hours: float
    peak_workers: int
    ups: int
    downs: int
    moved: int

    @classmethod
    def of(cls, fleet: str, outcome: Outcome) -> Row:
        """Condense an outcome."""
        ranked = sorted(outcome.waits_s) or [0.0]
        p50, p95, p99 = (round(percentile(ranked, share), 1) for share in (0.5, 0.95, 0.99))
        return cls(
            fleet=fleet,
            served=len(outcome.waits_s),
            refused=outcome.refused,
            wait_p50_s=p50,
            wait_p95_s=p95,
            wait_p99_s=p99,
            worker_hours=round(outcome.worker_s / 3600, 1),
            peak_workers=outcome.peak_workers,
            ups=outcome.ups,
            downs=outcome.downs,
            moved=outcome.moved,
        )


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to run the service: its name, and its bounds."""

    name: str
    bounds: Bounds

    def live(self, arrivals: Sequence[Arrival], world: World, on_sample: Callable[[Sample], None]) -> Outcome:
        """Live through the day."""
        return simulate(arrivals, self.bounds, world, until_s=DAY_S, on_sample=on_sample)


def fleets(bounds: Bounds) -> list[Contender]:
    """Give the policy, and fixed fleets of one worker, twice as many each, and the most."""
    fixed = [replace(bounds, enabled=False, min_workers=size) for size in _sizes(bounds.max_workers)]
    return [Contender(POLICY, bounds), *(Contender(f"fixed, {one.min_workers}", one) for one in fixed)]


def _sizes(most: int) -> Iterator[int]:
    size = 1
    while size < most:
        yield size
        size *= 2
    yield most


def table_of(rows: Sequence[Row]) -> Table:
    """Give a row a fleet. It fits 80 columns."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("fleet", no_wrap=True)
    for column in ("wait p50", "p95", "p99 s", "refused", "hours", "peak", "ups", "downs", "moved"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        waits = (f"{wait_s:.1f}" for wait_s in (row.wait_p50_s, row.wait_p95_s, row.wait_p99_s))
        counts = (str(count) for count in (row.peak_workers, row.ups, row.downs, row.moved))
        table.add_row(row.fleet, *waits, str(row.refused), f"{row.worker_hours:.1f}", *counts)
    return table
