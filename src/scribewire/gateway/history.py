"""History: how the service stood over the last hour, a point every few seconds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from scribewire.gateway.fleet import Fleet
from scribewire.gateway.roster import FleetView, WorkerPhase
from scribewire.metrics import Metrics

STEP_S: Final = 10.0
_KEPT: Final = 360


@dataclass(frozen=True, slots=True)
class Point:
    """One instant. Lags are those of the partials since the point before; None when there were none."""

    at: datetime
    sessions: int
    waiting: int
    workers: int
    lag_p50_s: float | None
    lag_p95_s: float | None


class History:
    """The points of this gateway, from its start on."""

    def __init__(self, fleet: Fleet, metrics: Metrics) -> None:
        self._fleet = fleet
        self._metrics = metrics
        self._counts = metrics.partial_lag_counts()
        self._points: deque[Point] = deque(maxlen=_KEPT)

    @property
    def points(self) -> tuple[Point, ...]:
        """Give the points of the last hour, oldest first."""
        return tuple(self._points)

    async def run(self) -> None:
        """Take a point every step, until cancelled."""
        while True:
            self.take(self._fleet.view(), datetime.now(UTC))
            await asyncio.sleep(STEP_S)

    def take(self, view: FleetView, at: datetime) -> None:
        """Take one point."""
        counts = self._metrics.partial_lag_counts()
        new = [(edge_s, count - before) for (edge_s, count), (_, before) in zip(counts, self._counts, strict=True)]
        self._counts = counts
        self._points.append(
            Point(
                at=at,
                sessions=view.live,
                waiting=view.waiting,
                workers=sum(worker.phase is WorkerPhase.READY for worker in view.workers),
                lag_p50_s=quantile_s(new, 0.5),
                lag_p95_s=quantile_s(new, 0.95),
            )
        )


def quantile_s(counts: Sequence[tuple[float, float]], share: float) -> float | None:
    """Give a quantile of a histogram, as Prometheus' `histogram_quantile` does; None of an empty one.

    `counts` are upper edges in seconds, rising, the last infinite, each with how many lie at or below it. Within a
    bucket values are taken to lie evenly; in the last there is none but its lower edge.
    """
    wanted = counts[-1][1] * share
    if not wanted:
        return None
    for (low_s, below), (high_s, count) in pairwise([(0.0, 0.0), *counts]):
        if count >= wanted and count > below:
            return low_s if high_s == float("inf") else low_s + (high_s - low_s) * (wanted - below) / (count - below)
    raise AssertionError("a histogram ends with all of them")
