"""History: a point every step, the last hour of them, and quantiles as Prometheus gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire.gateway.history import History, quantile_s
from scribewire.gateway.roster import FleetView, Status
from tests.gateway.rig import Rig

NOW = datetime(2030, 1, 1, tzinfo=UTC)


async def test_a_point_tells_how_it_stands_and_what_partials_lagged_since_the_one_before(rig: Rig) -> None:
    history = History(rig.services.fleet, rig.services.metrics)
    view = FleetView(Status.READY, target=1, live=3, waiting=2, workers=())
    for lag_s in [0.18] * 90 + [0.4] * 10:
        rig.services.metrics.partial_lag_s.observe(lag_s)
    history.take(view, NOW)
    history.take(view, NOW + timedelta(seconds=10))
    first, second = history.points
    assert (first.at, first.sessions, first.waiting, first.workers) == (NOW, 3, 2, 0)
    assert first.lag_p50_s is not None
    assert first.lag_p95_s is not None
    assert 0.15 < first.lag_p50_s < 0.2
    assert 0.3 < first.lag_p95_s < 0.5
    assert (second.lag_p50_s, second.lag_p95_s) == (None, None)


async def test_an_hour_is_kept(rig: Rig) -> None:
    history = rig.services.history
    view = FleetView(Status.SCALED_DOWN, target=0, live=0, waiting=0, workers=())
    for number in range(400):
        history.take(view, NOW + timedelta(seconds=10 * number))
    assert (len(history.points), history.points[-1].at - history.points[0].at) == (360, timedelta(seconds=3590))


@pytest.mark.parametrize(
    ("counts", "share", "quantile"),
    [
        ([(1.0, 0.0), (inf, 0.0)], 0.5, None),
        ([(1.0, 4.0), (inf, 4.0)], 0.5, 0.5),
        ([(1.0, 0.0), (3.0, 4.0), (inf, 4.0)], 0.25, 1.5),
        ([(1.0, 0.0), (inf, 4.0)], 0.5, 1.0),
        ([(1.0, 2.0), (2.0, 2.0), (4.0, 4.0), (inf, 4.0)], 0.5, 1.0),
    ],
)
def test_a_quantile(counts: list[tuple[float, float]], share: float, quantile: float | None) -> None:
    assert quantile_s(counts, share) == quantile


@given(st.lists(st.integers(0, 50), min_size=2, max_size=10), st.floats(0.01, 1.0))
def test_a_quantile_lies_between_the_edges_of_the_bucket_that_holds_it(new: list[int], share: float) -> None:
    counts, total = [], 0
    for edge, count in zip([*map(float, range(1, len(new))), inf], new, strict=True):
        total += count
        counts.append((edge, float(total)))
    found = quantile_s(counts, share)
    if total == 0:
        assert found is None
    else:
        assert found is not None
        at_or_below = [edge for edge, count in counts if count >= total * share]
        assert at_or_below[0] - 1 <= found <= at_or_below[0] or found == len(new) - 1
