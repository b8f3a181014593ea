"""A fleet in virtual time: what waits, what is refused, what is paid for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scribewire.core.policy import Bounds
from scribewire.core.simulation import SAMPLE_S, Arrival, Outcome, Sample, World, simulate

BOUNDS = Bounds(
    enabled=True,
    min_workers=0,
    max_workers=4,
    target_utilisation=1.0,
    spare_slots=0,
    cooldown_s=60.0,
    idle_s=300.0,
)
FIXED = replace(BOUNDS, enabled=False, min_workers=1)
WORLD = World(slots=(2,), start_s=10.0)


def run(
    *arrivals: tuple[float, float], bounds: Bounds = BOUNDS, world: World = WORLD, for_s: float = 1000.0
) -> Outcome:
    return simulate([Arrival(*arrival) for arrival in arrivals], bounds, world, until_s=for_s)


def test_nobody_comes_and_nothing_is_paid() -> None:
    outcome = run()
    assert (outcome.worker_s, outcome.peak_workers, outcome.waits_s) == (0.0, 0, [])
    assert outcome.wanted == [(0.0, 0)]


def test_the_first_session_waits_for_the_first_worker_and_the_next_for_nothing() -> None:
    assert run((100.0, 50.0), (120.0, 10.0)).waits_s == [10.0, 0.0]


def test_a_worker_is_paid_from_the_wish_for_it_until_the_idle_time_has_passed() -> None:
    outcome = run((100.0, 50.0))
    # Begun at 110, over at 160, seen live last at 155: the policy looks every 5 s.
    assert outcome.worker_s == 355.0
    assert outcome.wanted == [(0.0, 0), (100.0, 1), (455.0, 0)]
    assert (outcome.ups, outcome.downs) == (1, 1)


def test_what_is_running_at_the_end_is_paid_until_then() -> None:
    assert run(bounds=FIXED, for_s=7200.0).worker_s == 7200.0


def test_a_session_that_waits_in_vain_is_refused() -> None:
    outcome = run((100.0, 50.0), (100.0, 50.0), (110.0, 5.0), (145.0, 5.0), bounds=FIXED)
    assert outcome.waits_s == [0.0, 0.0, 5.0]
    assert outcome.refused == 1


def test_patience_begins_when_the_first_worker_is_ready() -> None:
    outcome = run((0.0, 15.0), (0.0, 100.0), (0.0, 1.0), (0.0, 90.0), bounds=FIXED)
    assert outcome.waits_s == [10.0, 10.0]
    assert outcome.refused == 2
    assert run((0.0, 1.0), bounds=FIXED, world=replace(WORLD, start_s=130.0)).refused == 1


def test_more_workers_come_with_demand_and_a_drained_one_hands_its_sessions_over() -> None:
    outcome = run((0.0, 40.0), (0.0, 500.0), (20.0, 500.0), world=replace(WORLD, start_s=5.0), for_s=400.0)
    assert outcome.peak_workers == 2
    assert (outcome.ups, outcome.downs) == (2, 1)
    assert (outcome.moved, outcome.longest_move_s) == (1, 0.0)
    assert outcome.samples[-1] == Sample(360.0, 2, 0, 1)


def test_workers_have_their_slots_in_turn() -> None:
    outcome = run(
        *[(0.0, 500.0)] * 4, bounds=replace(FIXED, min_workers=2), world=replace(WORLD, slots=(1, 3)), for_s=100.0
    )
    assert outcome.waits_s == [10.0] * 4


def test_every_sample_is_told_at_its_time() -> None:
    told: list[Sample] = []
    outcome = simulate([Arrival(1.0, 100.0)], BOUNDS, WORLD, until_s=5 * SAMPLE_S, on_sample=told.append)
    assert told == outcome.samples
    assert [sample.at_s for sample in told] == [0.0, 60.0, 120.0, 180.0, 240.0]
    assert [sample.live for sample in told] == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("bounds", [BOUNDS, FIXED])
def test_the_same_arrivals_come_to_the_same(bounds: Bounds) -> None:
    arrivals = [(float(at), 7.0 * (at % 31)) for at in range(0, 900, 7)]
    assert run(*arrivals, bounds=bounds) == run(*arrivals, bounds=bounds)
