"""The policy in virtual time: sessions come and go, workers take their time to start, and this is what it comes to."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from scribewire.core import policy
from scribewire.core.policy import Bounds, Decision, Demand, Memory, WorkerLoad

# Time alone changes a decision only by the cooldown and the idle time, beside which this is short.
TICK_S: Final = 5.0
SAMPLE_S: Final = 60.0

Decide = Callable[[Demand, Sequence[WorkerLoad], Bounds, Memory, float], Decision]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A session that is to come, and how long it will be live."""

    at_s: float
    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What workers and clients are like.

    Workers have `slots` in turn and are ready `start_s` after they are asked for. The sessions of a victim have moved
    after `move_s`. A client waits for a slot `slot_wait_s` at most, and for the first worker `start_wait_s`.
    """

    slots: tuple[int, ...]
    start_s: float
    move_s: float = 5.0
    slot_wait_s: float = 10.0
    start_wait_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The fleet at one instant; `workers` counts those that start and those that end too."""

    at_s: float
    live: int
    waiting: int
    workers: int


@dataclass(slots=True)
class Outcome:
    """What it came to: how long each served session waited, what the workers cost, when the wanted count changed."""

    waits_s: list[float] = field(default_factory=list)
    refused: int = 0
    moved: int = 0
    longest_move_s: float = 0.0
    worker_s: float = 0.0
    peak_workers: int = 0
    wanted: list[tuple[float, int]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    @property
    def ups(self) -> int:
        """Count how often more workers were wanted."""
        return sum(after > before for (_, before), (_, after) in itertools.pairwise(self.wanted))

    @property
    def downs(self) -> int:
        """Count how often fewer workers were wanted."""
        return sum(after < before for (_, before), (_, after) in itertools.pairwise(self.wanted))


def simulate(
    arrivals: Iterable[Arrival],
    bounds: Bounds,
    world: World,
    *,
    until_s: float,
    on_sample: Callable[[Sample], None] = lambda sample: None,
    decide: Decide = policy.decide,
) -> Outcome:
    """Run the policy against the arrivals from 0 to `until_s`.

    Every client that finds the service scaled down asks for an initialize first, as the contract has it; its wait
    counts from there. The policy is asked after every event, as the fleet is kicked by it, and every TICK_S.
    """
    run = _Run(bounds, world, decide, on_sample)
    for arrival in arrivals:
        run.at(arrival.at_s, partial(run.arrive, arrival.length_s))
    run.go(until_s)
    return run.outcome


@dataclass(slots=True, eq=False)
class _Session:
    since: float
    length_s: float
    worker: _Worker | None = None
    begun: bool = False
    refused: bool = False


@dataclass(slots=True, eq=False)
class _Worker:
    name: str
    slots: int
    born: float
    ready: bool = False
    ending: bool = False
    # In the order in which they came: a set would have them in another one each time.
    live: dict[_Session, None] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return self.slots - len(self.live) if self.ready and not self.ending else 0

    @property
    def load(self) -> WorkerLoad:
        slots = self.slots if self.ready and not self.ending else None
        return WorkerLoad(self.name, slots, len(self.live), self.ending)


class _Run:
    """One day of one fleet. Everything that happens is a call on the heap, at its time and in its order."""

    def __init__(self, bounds: Bounds, world: World, decide: Decide, on_sample: Callable[[Sample], None]) -> None:
        self.outcome = Outcome()
        self._bounds = bounds
        self._world = world
        self._decide = decide
        self._on_sample = on_sample
        self._now = 0.0
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._memory = policy.begin(bounds, 0.0)
        self._wanted = -1
        self._workers: dict[str, _Worker] = {}
        self._made = 0
        self._line: deque[_Session] = deque()
        self._ready_since: float | None = None

    def at(self, at_s: float, call: Callable[[], None]) -> None:
        """Have something happen."""
        heapq.heappush(self._heap, (at_s, next(self._order), call))

    def go(self, until_s: float) -> None:
        """Let it all happen."""
        self.at(0.0, self._sample)
        if self._bounds.enabled:
            self.at(0.0, self._tick)
        self._reconcile()
        while self._heap and self._heap[0][0] < until_s:
            self._now, _, call = heapq.heappop(self._heap)
            call()
            self._place()
            self._reconcile()
        self._now = until_s
        for worker in tuple(self._workers.values()):
            self._remove(worker)

    def arrive(self, length_s: float) -> None:
        """Let a session ask for a slot."""
        if self._memory.wanted == 0:
            self._memory = policy.initialize(self._memory, self._now)
        session = _Session(self._now, length_s)
        self._line.append(session)
        self._expect(session)

    def _tick(self) -> None:
        self.at(self._now + TICK_S, self._tick)

    def _sample(self) -> None:
        live = sum(len(worker.live) for worker in self._workers.values())
        sample = Sample(self._now, live, len(self._line), len(self._workers))
        self.outcome.samples.append(sample)
        self._on_sample(sample)
        self.at(self._now + SAMPLE_S, self._sample)

    # --- sessions -----------------------------------------------------------------------------------------------------

    def _expect(self, session: _Session) -> None:
        """Refuse one that waits in vain, or look again when it may be due."""
        if session.begun or session.refused:
            return
        if self._ready_since is None:
            due = session.since + self._world.start_wait_s
        else:
            due = max(session.since, self._ready_since) + self._world.slot_wait_s
        if self._now < due:
            self.at(due, partial(self._expect, session))
            return
        session.refused = True
        self._line.remove(session)
        self.outcome.refused += 1

    def _place(self) -> None:
        """Give free slots to those who wait, in their order."""
        while self._line:
            worker = max(self._workers.values(), key=lambda worker: worker.free, default=None)
            if worker is None or worker.free <= 0:
                return
            session = self._line.popleft()
            session.worker = worker
            worker.live[session] = None
            if session.begun:
                self.outcome.longest_move_s = max(self.outcome.longest_move_s, self._now - session.since)
                continue
            session.begun = True
            self.outcome.waits_s.append(self._now - session.since)
            self.at(self._now + session.length_s, partial(self._end, session))

    def _end(self, session: _Session) -> None:
        worker = session.worker
        if worker is None:
            self._line.remove(session)
            return
        del worker.live[session]
        if worker.ending and not worker.live:
            self._remove(worker)

    # --- workers ------------------------------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        """Ask the policy, and do what it says."""
        workers = self._workers.values()
        demand = Demand(sum(len(worker.live) for worker in workers), len(self._line))
        decision = self._decide(demand, [worker.load for worker in workers], self._bounds, self._memory, self._now)
        self._memory = decision.memory
        if decision.wanted != self._wanted:
            self._wanted = decision.wanted
            self.outcome.wanted.append((self._now, decision.wanted))
        for name in decision.victims:
            self._retire(self._workers[name])
        for _ in range(decision.count - sum(not worker.ending for worker in workers)):
            self._spawn()
        self.outcome.peak_workers = max(self.outcome.peak_workers, len(self._workers))
        self._look()

    def _spawn(self) -> None:
        slots = self._world.slots[self._made % len(self._world.slots)]
        self._made += 1
        worker = _Worker(f"w{self._made}", slots, self._now)
        self._workers[worker.name] = worker
        self.at(self._now + self._world.start_s, partial(self._become_ready, worker))

    def _become_ready(self, worker: _Worker) -> None:
        worker.ready = True
        self._look()

    def _retire(self, worker: _Worker) -> None:
        worker.ending = True
        if worker.live:
            self.at(self._now + self._world.move_s, partial(self._move, worker))
        else:
            self._remove(worker)

    def _move(self, worker: _Worker) -> None:
        """Send what a victim still has back into the line, before all others."""
        self.outcome.moved += len(worker.live)
        for session in worker.live:
            session.since, session.worker = self._now, None
            self._line.appendleft(session)
        worker.live.clear()
        if worker.name in self._workers:
            self._remove(worker)

    def _remove(self, worker: _Worker) -> None:
        del self._workers[worker.name]
        self.outcome.worker_s += self._now - worker.born

    def _look(self) -> None:
        """Keep account of since when some worker is ready: it is what those who wait go by."""
        if not any(worker.ready and not worker.ending for worker in self._workers.values()):
            self._ready_since = None
        elif self._ready_since is None:
            self._ready_since = self._now
            for session in tuple(self._line):
                self._expect(session)
