"""The search by probes: what counts as holding, and what is concluded."""

from __future__ import annotations

import msgspec
import pytest

from scribewire.bench.capacity import Capacity, Probe, Verdict, find_capacity, judge
from scribewire.bench.figures import Failure, Figures, Spread, figures_of
from scribewire.bench.report import conclusion
from tests.bench.test_figures import run_of

IDLE = figures_of(run_of())


def lagging(p95: float) -> Figures:
    return msgspec.structs.replace(IDLE, lag_ms=Spread(10, p95, p95, p95, p95))


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        (lagging(500), Verdict.HELD),
        (lagging(501), Verdict.LATE),
        (IDLE, Verdict.SILENT),
        (msgspec.structs.replace(lagging(1), trusted=False), Verdict.UNTRUSTED),
        (msgspec.structs.replace(lagging(1), refused=1, failures=[Failure("at_capacity", 1, "")]), Verdict.REFUSED),
        (msgspec.structs.replace(lagging(1), failures=[Failure("disconnected", 1, "")]), Verdict.FAILED),
    ],
)
def test_a_probe_holds_when_all_are_served_in_time(figures: Figures, verdict: Verdict) -> None:
    assert judge(figures, 500) is verdict


async def searched(true: int, *, interrupted_at: int | None = None) -> tuple[Capacity, list[Probe]]:
    told: list[Probe] = []

    async def probe(sessions: int) -> Figures:
        figures = lagging(100 if sessions <= true else 1000)
        return msgspec.structs.replace(figures, sessions=sessions, interrupted=sessions == interrupted_at)

    return await find_capacity(probe, first=4, bound_ms=500, on_probe=told.append), told


async def test_it_finds_the_largest_number_and_says_what_did_not_hold() -> None:
    capacity, told = await searched(11)
    assert capacity.largest == 11
    assert capacity.probes == told
    assert conclusion(capacity) == "11 sessions hold; 12 do not: lag over the bound."


async def test_an_interrupted_search_tells_what_it_knows() -> None:
    capacity, told = await searched(100, interrupted_at=16)
    assert [probe.sessions for probe in told] == [4, 8]
    assert conclusion(capacity) == "At least 8 sessions hold; the search did not come to a bound."
