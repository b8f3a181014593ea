"""The policy, decision by decision and in a closed loop: cold start, growth, cooldown, drains, idleness, promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.core.policy import Bounds, Decision, Demand, Memory, WorkerLoad, begin, decide, initialize
from scribewire.core.simulation import TICK_S, Arrival, Outcome, World, simulate

BOUNDS = Bounds(
    enabled=True,
    min_workers=0,
    max_workers=8,
    target_utilisation=0.8,
    spare_slots=0,
    cooldown_s=60.0,
    idle_s=300.0,
)
FOR_EVER_S = 1e9


def load(worker: str, slots: int | None, live: int, *, ending: bool = False) -> WorkerLoad:
    return WorkerLoad(worker, slots, live, ending)


def settled(demand: Demand, workers: list[WorkerLoad], bounds: Bounds, wanted: int) -> Decision:
    """Decide after a whole cooldown of the same."""
    memory = decide(demand, workers, bounds, Memory(wanted, 0.0), 0.0).memory
    return decide(demand, workers, bounds, memory, bounds.cooldown_s)


# --- up --------------------------------------------------------------------------------------------------------------


def test_zero_stays_zero_however_many_sessions_wait() -> None:
    memory = begin(BOUNDS, 0.0)
    assert decide(Demand(0, 5), [], BOUNDS, memory, 1.0).wanted == 0


def test_an_initialize_wants_a_worker_in_the_very_next_decision() -> None:
    memory = initialize(begin(BOUNDS, 0.0), 10_000.0)
    assert decide(Demand(0, 0), [], BOUNDS, memory, 10_000.0).wanted == 1


def test_an_initialize_beside_running_workers_changes_no_count() -> None:
    assert initialize(Memory(wanted=3, last_used=0.0), 5.0) == Memory(wanted=3, last_used=5.0)


def test_growth_asks_at_once_for_as_many_as_the_demand_needs() -> None:
    decision = decide(Demand(10, 11), [load("w1", 10, 10)], BOUNDS, Memory(1, 0.0), 1.0)
    assert decision.wanted == 3  # 21 sessions at 8 a worker


def test_a_worker_that_is_starting_counts_as_the_known_ones_do() -> None:
    workers = [load("w1", 10, 10), load("w2", None, 0)]
    assert decide(Demand(10, 6), workers, BOUNDS, Memory(2, 0.0), 1.0).wanted == 2


def test_a_worker_that_is_ending_carries_nothing_and_its_sessions_count() -> None:
    workers = [load("w1", 10, 6), load("w2", None, 4, ending=True)]
    assert decide(Demand(10, 0), workers, BOUNDS, Memory(1, 0.0), 1.0).wanted == 2


def test_nothing_grows_while_no_worker_has_said_what_it_carries() -> None:
    assert decide(Demand(0, 50), [load("w1", None, 0)], BOUNDS, Memory(1, 0.0), 1.0).wanted == 1


@pytest.mark.parametrize(("spare", "wanted"), [(0, 1), (2, 1), (3, 2), (4, 2), (14, 3)])
def test_spare_slots_are_kept_free_when_the_target_leaves_fewer(spare: int, wanted: int) -> None:
    bounds = replace(BOUNDS, spare_slots=spare)
    assert decide(Demand(8, 0), [load("w1", 10, 8)], bounds, Memory(1, 0.0), 1.0).wanted == wanted


# --- down ------------------------------------------------------------------------------------------------------------


def test_what_was_not_needed_for_the_cooldown_goes_and_idle_ones_go_together() -> None:
    workers = [load("w1", 10, 0), load("w2", 10, 3), load("w3", 10, 0)]
    first = decide(Demand(3, 0), workers, BOUNDS, Memory(3, 0.0), 1.0)
    assert (first.wanted, first.victims) == (3, ())
    early = decide(Demand(3, 0), workers, BOUNDS, first.memory, 60.9)
    assert early.wanted == 3
    due = decide(Demand(3, 0), workers, BOUNDS, early.memory, 61.0)
    assert (due.wanted, due.count, due.victims) == (1, 1, ("w3", "w1"))


def test_the_count_falls_to_the_highest_need_of_the_cooldown() -> None:
    workers = [load(name, 10, 2) for name in ("w1", "w2", "w3", "w4")]
    memory = Memory(1, 0.0)
    for now, sessions, wanted in ((0.0, 30, 4), (20.0, 8, 4), (30.0, 16, 4), (59.9, 8, 4), (60.0, 8, 2), (90.0, 8, 1)):
        decision = decide(Demand(sessions, 0), workers, BOUNDS, memory, now)
        memory = decision.memory
        assert decision.wanted == wanted


def test_a_worker_with_sessions_is_a_victim_when_the_others_can_carry_them() -> None:
    workers = [load("w1", 10, 3), load("w2", 10, 2)]
    decision = settled(Demand(5, 0), workers, BOUNDS, 2)
    assert (decision.wanted, decision.count, decision.victims) == (1, 1, ("w2",))


def test_only_one_worker_with_sessions_goes_at_a_time() -> None:
    workers = [load("w1", 10, 2), load("w2", 10, 1), load("w3", 10, 1)]
    decision = settled(Demand(4, 0), workers, BOUNDS, 3)
    assert (decision.wanted, decision.count, decision.victims) == (1, 2, ("w3",))
    draining = [*workers[:2], load("w3", None, 1, ending=True)]
    later = decide(Demand(4, 0), draining, BOUNDS, decision.memory, 61.0)
    assert (later.wanted, later.count, later.victims) == (1, 2, ())
    moved = decide(Demand(4, 0), [load("w1", 10, 3), load("w2", 10, 1)], BOUNDS, later.memory, 62.0)
    assert moved.victims == ("w2",)


def test_no_worker_goes_while_the_others_lack_room_for_its_sessions_and_those_that_wait() -> None:
    bounds = replace(BOUNDS, max_workers=1)
    for waiting, victims in ((2, ("w2",)), (3, ())):
        decision = decide(Demand(9, waiting), [load("w1", 10, 5), load("w2", 10, 3)], bounds, Memory(1, 0.0), 0.0)
        assert (decision.wanted, decision.victims) == (1, victims)


def test_a_worker_that_is_not_ready_goes_before_one_that_is() -> None:
    workers = [load("w1", 10, 0), load("w2", None, 0), load("w3", 10, 1)]
    decision = settled(Demand(9, 0), workers, BOUNDS, 3)
    assert (decision.wanted, decision.victims) == (2, ("w2",))


def test_workers_that_drain_count_against_the_most_until_they_have_ended() -> None:
    bounds = replace(BOUNDS, max_workers=2)
    workers = [load("w1", 10, 10), load("w2", None, 2, ending=True)]
    held = decide(Demand(12, 5), workers, bounds, Memory(1, 0.0), 0.0)
    assert (held.wanted, held.count) == (2, 1)
    assert decide(Demand(10, 7), workers[:1], bounds, held.memory, 1.0).count == 2


# --- to zero ---------------------------------------------------------------------------------------------------------


def test_all_go_after_the_idle_time_without_a_session() -> None:
    workers = [load("w1", 10, 0), load("w2", None, 0)]
    assert decide(Demand(0, 0), workers, BOUNDS, Memory(2, 0.0), 299.0).wanted != 0
    decision = decide(Demand(0, 0), workers, BOUNDS, Memory(2, 0.0), 300.0)
    assert decision.wanted == 0
    assert sorted(decision.victims) == ["w1", "w2"]


def test_a_session_that_another_gateway_holds_counts_as_use() -> None:
    assert decide(Demand(0, 0), [load("w1", 10, 1)], BOUNDS, Memory(1, 0.0), 5000.0).wanted == 1


def test_idleness_ends_at_the_least_number() -> None:
    bounds = replace(BOUNDS, min_workers=2)
    workers = [load(name, 10, 0) for name in ("w1", "w2", "w3")]
    decision = decide(Demand(0, 0), workers, bounds, Memory(3, 0.0), 5000.0)
    assert (decision.wanted, decision.victims) == (2, ("w3",))


# --- without it, and after a restart ---------------------------------------------------------------------------------


def test_without_autoscaling_the_number_is_constant() -> None:
    for least, wanted in ((0, 1), (3, 3), (9, 9)):
        bounds = replace(BOUNDS, enabled=False, min_workers=least)
        memory = begin(bounds, 0.0)
        assert memory.wanted == wanted
        decision = decide(Demand(50, 50), [load("w1", 10, 10)], bounds, memory, 9000.0)
        assert (decision.wanted, decision.count) == (wanted, wanted)


def test_a_resumed_target_is_kept_within_bounds() -> None:
    assert begin(BOUNDS, 0.0, resumed=3).wanted == 3
    assert begin(BOUNDS, 0.0, resumed=99).wanted == 8
    assert begin(replace(BOUNDS, min_workers=2), 0.0).wanted == 2


def test_a_resumed_target_falls_no_sooner_than_a_felt_one() -> None:
    memory = begin(BOUNDS, 0.0, resumed=3)
    workers = [load(name, 10, 0) for name in ("w1", "w2", "w3")]
    for now, wanted in ((0.0, 3), (59.9, 3), (60.0, 1)):
        decision = decide(Demand(1, 0), workers, BOUNDS, memory, now)
        memory = decision.memory
        assert decision.wanted == wanted


# --- promises, whatever happens --------------------------------------------------------------------------------------

some_bounds = st.builds(
    Bounds,
    enabled=st.just(True),
    min_workers=st.integers(0, 3),
    max_workers=st.integers(3, 12),
    target_utilisation=st.floats(0.1, 1.0),
    spare_slots=st.integers(0, 20),
    cooldown_s=st.floats(0.5, 60.0),
    idle_s=st.floats(0.5, 300.0),
)
some_workers = st.lists(
    st.builds(
        WorkerLoad,
        worker=st.integers(1, 99).map(str),
        slots=st.none() | st.integers(0, 40),
        live=st.integers(0, 40),
        ending=st.just(False),
    )
    | st.builds(
        WorkerLoad,
        worker=st.integers(1, 99).map(str),
        slots=st.none(),
        live=st.integers(0, 40),
        ending=st.just(True),
    ),
    max_size=12,
    unique_by=lambda load: load.worker,
)
some_demand = st.builds(Demand, live=st.integers(0, 400), waiting=st.integers(0, 400))
some_needs = st.lists(st.tuples(st.floats(0, 1000), st.integers(1, 20)), max_size=4).map(
    # As `decide` leaves them: later ones are lower.
    lambda needs: tuple(zip(sorted(at for at, _ in needs), sorted({n for _, n in needs}, reverse=True), strict=False))
)
some_memory = st.builds(Memory, wanted=st.integers(0, 20), last_used=st.floats(0, 1000), needs=some_needs)


def check(demand: Demand, workers: Sequence[WorkerLoad], bounds: Bounds, decision: Decision) -> None:
    """Hold a decision to what is promised of every one."""
    staying = {worker.worker: worker for worker in workers if not worker.ending}
    victims = [staying[name] for name in decision.victims]
    rest = [worker for worker in staying.values() if worker.worker not in decision.victims]
    moving = sum(worker.live for worker in workers if worker.slots is None)
    assert bounds.min_workers <= decision.wanted <= bounds.max_workers
    assert decision.memory.wanted == decision.wanted
    assert len(victims) <= max(0, len(staying) - decision.wanted)
    assert decision.count >= len(rest)
    draining = sum(worker.ending and worker.live > 0 for worker in workers)
    assert decision.count <= len(rest) or decision.count + draining <= bounds.max_workers
    if any(victim.live for victim in victims):
        assert sum(victim.live > 0 for victim in victims) == 1
        assert not moving
        free = sum(max(0, (worker.slots or 0) - worker.live) for worker in rest)
        assert free >= demand.waiting + sum(victim.live for victim in victims)


@given(some_demand, some_workers, some_bounds, some_memory, st.floats(1000, 2000))
def test_every_decision_keeps_its_promises(
    demand: Demand, workers: list[WorkerLoad], bounds: Bounds, memory: Memory, now: float
) -> None:
    decision = decide(demand, workers, bounds, memory, now)
    check(demand, workers, bounds, decision)
    if demand.live + demand.waiting and memory.wanted:
        assert decision.wanted >= 1
    if not memory.wanted and not bounds.min_workers:
        assert decision.wanted == 0
    assert len(decision.memory.needs) <= bounds.max_workers + len(memory.needs)


@given(some_demand, st.integers(0, 50), some_workers, some_bounds, some_memory, st.floats(1000, 2000))
def test_more_demand_never_wants_fewer(
    demand: Demand, more: int, workers: list[WorkerLoad], bounds: Bounds, memory: Memory, now: float
) -> None:
    greater = replace(demand, waiting=demand.waiting + more)
    wanted = decide(demand, workers, bounds, memory, now).wanted
    assert decide(greater, workers, bounds, memory, now).wanted >= wanted


@given(some_demand, some_workers, some_bounds, some_memory, st.floats(1000, 2000))
def test_an_initialize_skips_every_delay(
    demand: Demand, workers: list[WorkerLoad], bounds: Bounds, memory: Memory, now: float
) -> None:
    assert decide(demand, workers, bounds, initialize(memory, now), now).wanted >= 1


some_steps = st.lists(
    st.tuples(st.floats(0.25, 100.0), st.just(Demand(0, 0)) | some_demand, st.booleans()), min_size=1, max_size=30
)


@given(some_steps, some_bounds)
def test_zero_comes_only_after_the_idle_time_and_goes_only_by_an_initialize(
    steps: list[tuple[float, Demand, bool]], bounds: Bounds
) -> None:
    bounds = replace(bounds, min_workers=0)
    memory, now, used = begin(bounds, 0.0), 0.0, 0.0
    for for_s, demand, asked in steps:
        now += for_s
        if asked:
            memory = initialize(memory, now)
        if asked or demand.live + demand.waiting:
            used = now
        decision = decide(demand, [], bounds, memory, now)
        if memory.wanted == 0:
            assert decision.wanted == 0
        elif decision.wanted == 0:
            assert now - used >= bounds.idle_s
        memory = decision.memory


# --- promises of the closed loop -------------------------------------------------------------------------------------


def run(
    arrivals: list[Arrival], bounds: Bounds, slots: tuple[int, ...], *, for_s: float, start_s: float = 3.0
) -> Outcome:
    """Let a fleet in virtual time follow the policy, and hold every decision to its promises."""

    def checked(demand: Demand, workers: Sequence[WorkerLoad], bounds: Bounds, memory: Memory, now: float) -> Decision:
        decision = decide(demand, workers, bounds, memory, now)
        check(demand, workers, bounds, decision)
        return decision

    # Nobody loses patience: that would be another load.
    world = World(slots=slots, start_s=start_s, slot_wait_s=FOR_EVER_S, start_wait_s=FOR_EVER_S)
    outcome = simulate(arrivals, bounds, world, until_s=for_s, decide=checked)
    assert outcome.peak_workers <= bounds.max_workers
    return outcome


def turns(outcome: Outcome) -> int:
    """Count how often the wanted count changes direction."""
    counts = [count for _, count in outcome.wanted]
    steps = [after > before for before, after in pairwise(counts)]
    return sum(one != other for one, other in pairwise(steps))


some_slots = st.lists(st.integers(1, 30), min_size=1, max_size=6).map(tuple)


@settings(max_examples=40)
@given(some_slots, st.integers(1, 40), some_bounds, st.floats(0.1, 20.0))
def test_a_constant_load_turns_the_count_at_most_once_and_then_nothing_changes(
    slots: tuple[int, ...], sessions: int, bounds: Bounds, start_s: float
) -> None:
    bounds = replace(bounds, cooldown_s=bounds.cooldown_s / 6)
    settle_s = 2 * start_s * bounds.max_workers + 20 * (bounds.cooldown_s + TICK_S)
    for_s = 2 * settle_s
    arrivals = [Arrival(0.0, FOR_EVER_S)] * sessions
    outcome = run(arrivals, bounds, slots, for_s=for_s, start_s=start_s)
    assert turns(outcome) <= 1
    assert outcome.wanted[-1][0] <= settle_s
    assert outcome.longest_move_s == 0


@settings(max_examples=25)
@given(
    some_slots,
    st.lists(st.builds(Arrival, at_s=st.floats(0, 100), length_s=st.floats(1, 60)), max_size=30),
    some_bounds,
)
def test_whatever_comes_every_session_is_served_and_the_end_is_the_floor(
    slots: tuple[int, ...], arrivals: list[Arrival], bounds: Bounds
) -> None:
    outcome = run(arrivals, bounds, slots, for_s=100 + 30 * 60 + 360.0)
    assert len(outcome.waits_s) == len(arrivals)
    assert outcome.refused == 0
    assert outcome.wanted[-1][1] == bounds.min_workers


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 60), st.floats(0.3, 1.0))
def test_alike_workers_are_never_more_than_the_demand_needs(slots: int, sessions: int, utilisation: float) -> None:
    bounds = replace(BOUNDS, max_workers=1000, target_utilisation=utilisation)
    outcome = run([Arrival(1.0, FOR_EVER_S)] * sessions, bounds, (slots,), for_s=30.0)
    most = max(count for _, count in outcome.wanted)
    assert (most - 1) * slots * utilisation < sessions
    assert most * slots * utilisation >= sessions - 1e-6
