"""The policy in virtual time: cold start, growth, cooldown, idleness, and what holds whatever happens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.core.policy import Bounds, Decision, Demand, Memory, WorkerLoad, begin, decide, initialize

BOUNDS = Bounds(enabled=True, min_workers=0, max_workers=8, target_utilisation=0.8, cooldown_s=60.0, idle_s=300.0)
START_S = 3.0
STEP_S = 0.5


@dataclass
class Platform:
    """Workers that take START_S to become ready and get slots by their number; does what it is told."""

    slots: tuple[int, ...]
    born: dict[int, float] = field(default_factory=dict)
    made: int = 0

    def follow(self, decision: Decision, now: float) -> None:
        for victim in decision.victims:
            del self.born[int(victim)]
        while len(self.born) < decision.wanted:
            self.made += 1
            self.born[self.made] = now

    def loads(self, now: float, live: int) -> list[WorkerLoad]:
        loads: list[WorkerLoad] = []
        for number, born in self.born.items():
            slots = self.slots[number % len(self.slots)] if now - born >= START_S else None
            taken = min(live, slots or 0)
            live -= taken
            loads.append(WorkerLoad(str(number), slots, taken))
        return loads


def run(
    bounds: Bounds, platform: Platform, memory: Memory, sessions: int, *, begin_s: float, for_s: float
) -> list[int]:
    """Give the wanted count after every step under a constant number of sessions."""
    wanted: list[int] = []
    now = begin_s
    while now < begin_s + for_s:
        loads = platform.loads(now, sessions)
        live = sum(load.live for load in loads)
        decision = decide(Demand(live, sessions - live), loads, bounds, memory, now)
        for victim in decision.victims:
            assert next(load for load in loads if load.worker == victim).live == 0
        memory = decision.memory
        platform.follow(decision, now)
        wanted.append(decision.wanted)
        now += STEP_S
    return wanted


def turns(counts: list[int]) -> int:
    """Count how often a series changes direction."""
    steps = [after - before for before, after in pairwise(counts) if after != before]
    return sum((one > 0) != (next_one > 0) for one, next_one in pairwise(steps))


def test_zero_stays_zero_however_many_sessions_wait() -> None:
    memory = begin(BOUNDS, 0.0)
    assert decide(Demand(0, 5), [], BOUNDS, memory, 1.0).wanted == 0


def test_an_initialize_wants_a_worker_in_the_very_next_decision() -> None:
    memory = initialize(begin(BOUNDS, 0.0), 10_000.0)
    assert decide(Demand(0, 0), [], BOUNDS, memory, 10_000.0).wanted == 1


def test_an_initialize_beside_running_workers_changes_no_count() -> None:
    assert initialize(Memory(wanted=3, last_used=0.0), 5.0) == Memory(wanted=3, last_used=5.0)


def test_growth_asks_at_once_for_as_many_as_the_demand_needs() -> None:
    decision = decide(Demand(10, 11), [WorkerLoad("w1", 10, 10)], BOUNDS, Memory(1, 0.0), 1.0)
    assert decision.wanted == 3  # 21 sessions at 8 a worker


def test_a_worker_that_is_starting_counts_as_the_known_ones_do() -> None:
    workers = [WorkerLoad("w1", 10, 10), WorkerLoad("w2", None, 0)]
    assert decide(Demand(10, 6), workers, BOUNDS, Memory(2, 0.0), 1.0).wanted == 2


def test_nothing_grows_while_no_worker_has_said_what_it_carries() -> None:
    assert decide(Demand(0, 50), [WorkerLoad("w1", None, 0)], BOUNDS, Memory(1, 0.0), 1.0).wanted == 1


def test_one_worker_goes_after_the_cooldown_and_it_is_an_idle_one() -> None:
    workers = [WorkerLoad("w1", 10, 0), WorkerLoad("w2", 10, 3)]
    first = decide(Demand(3, 0), workers, BOUNDS, Memory(2, 0.0), 1.0)
    assert (first.wanted, first.victims) == (2, ())
    early = decide(Demand(3, 0), workers, BOUNDS, first.memory, 60.9)
    assert early.wanted == 2
    due = decide(Demand(3, 0), workers, BOUNDS, early.memory, 61.0)
    assert (due.wanted, due.victims) == (1, ("w1",))


def test_a_busy_moment_begins_the_cooldown_anew() -> None:
    workers = [WorkerLoad("w1", 10, 0), WorkerLoad("w2", 10, 3)]
    memory = decide(Demand(3, 0), workers, BOUNDS, Memory(2, 0.0), 0.0).memory
    memory = decide(Demand(3, 6), workers, BOUNDS, memory, 30.0).memory
    assert decide(Demand(3, 0), workers, BOUNDS, memory, 61.0).wanted == 2


def test_workers_that_all_have_sessions_stay() -> None:
    workers = [WorkerLoad("w1", 10, 1), WorkerLoad("w2", 10, 1)]
    memory = decide(Demand(2, 0), workers, BOUNDS, Memory(2, 0.0), 0.0).memory
    assert decide(Demand(2, 0), workers, BOUNDS, memory, 1000.0).victims == ()


def test_all_go_after_the_idle_time_without_a_session() -> None:
    workers = [WorkerLoad("w1", 10, 0), WorkerLoad("w2", None, 0)]
    assert decide(Demand(0, 0), workers, BOUNDS, Memory(2, 0.0, 0.0), 299.0).wanted != 0
    decision = decide(Demand(0, 0), workers, BOUNDS, Memory(2, 0.0), 300.0)
    assert decision.wanted == 0
    assert sorted(decision.victims) == ["w1", "w2"]


def test_a_session_that_another_gateway_holds_counts_as_use() -> None:
    assert decide(Demand(0, 0), [WorkerLoad("w1", 10, 1)], BOUNDS, Memory(1, 0.0), 5000.0).wanted == 1


def test_idleness_ends_at_the_least_number() -> None:
    bounds = replace(BOUNDS, min_workers=2)
    workers = [WorkerLoad(name, 10, 0) for name in ("w1", "w2", "w3")]
    decision = decide(Demand(0, 0), workers, bounds, Memory(3, 0.0), 5000.0)
    assert (decision.wanted, decision.victims) == (2, ("w3",))


def test_without_autoscaling_the_number_is_constant() -> None:
    for least, wanted in ((0, 1), (3, 3)):
        bounds = replace(BOUNDS, enabled=False, min_workers=least)
        memory = begin(bounds, 0.0)
        assert memory.wanted == wanted
        assert decide(Demand(50, 50), [WorkerLoad("w1", 10, 10)], bounds, memory, 9000.0).wanted == wanted


def test_a_resumed_target_is_kept_within_bounds() -> None:
    assert begin(BOUNDS, 0.0, resumed=3).wanted == 3
    assert begin(BOUNDS, 0.0, resumed=99).wanted == 8
    assert begin(replace(BOUNDS, min_workers=2), 0.0).wanted == 2


some_bounds = st.builds(
    Bounds,
    enabled=st.just(True),
    min_workers=st.integers(0, 3),
    max_workers=st.integers(3, 12),
    target_utilisation=st.floats(0.1, 1.0),
    cooldown_s=st.floats(0.5, 60.0),
    idle_s=st.floats(0.5, 300.0),
)
some_workers = st.lists(
    st.builds(
        WorkerLoad,
        worker=st.integers(1, 99).map(str),
        slots=st.none() | st.integers(0, 40),
        live=st.integers(0, 40),
    ),
    max_size=12,
    unique_by=lambda load: load.worker,
)
some_demand = st.builds(Demand, live=st.integers(0, 400), waiting=st.integers(0, 400))
some_memory = st.builds(
    Memory,
    wanted=st.integers(0, 20),
    last_used=st.floats(0, 1000),
    spare_since=st.none() | st.floats(0, 1000),
)


@given(some_demand, some_workers, some_bounds, some_memory, st.floats(1000, 2000))
def test_every_decision_keeps_the_bounds_and_never_names_a_worker_with_sessions(
    demand: Demand, workers: list[WorkerLoad], bounds: Bounds, memory: Memory, now: float
) -> None:
    decision = decide(demand, workers, bounds, memory, now)
    assert bounds.min_workers <= decision.wanted <= bounds.max_workers
    assert decision.memory.wanted == decision.wanted
    live = {load.worker: load.live for load in workers}
    assert all(live[victim] == 0 for victim in decision.victims)
    assert len(decision.victims) <= max(0, len(workers) - decision.wanted)
    if demand.live + demand.waiting and memory.wanted:
        assert decision.wanted >= 1


@settings(max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 60), some_bounds)
def test_a_constant_load_turns_the_count_at_most_once(slots: list[int], sessions: int, bounds: Bounds) -> None:
    bounds = replace(bounds, cooldown_s=min(bounds.cooldown_s, 2.0), idle_s=20.0)
    platform = Platform(tuple(slots))
    counts = run(bounds, platform, initialize(begin(bounds, 0.0), 0.0), sessions, begin_s=0.0, for_s=40.0)
    assert turns(counts) <= 1
    assert counts[0] >= 1
    assert counts[-1] == counts[-10]


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 60), st.floats(0.3, 1.0))
def test_alike_workers_are_never_more_than_the_demand_needs(slots: int, sessions: int, utilisation: float) -> None:
    bounds = replace(BOUNDS, max_workers=1000, target_utilisation=utilisation)
    counts = run(bounds, Platform((slots,)), initialize(begin(bounds, 0.0), 0.0), sessions, begin_s=0.0, for_s=10.0)
    assert (max(counts) - 1) * slots * utilisation < sessions
    assert max(counts) * slots * utilisation >= sessions - 1e-6
