"""How many workers there should be, and which of them may go: a pure function and the memory that it hands on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

# A utilisation such as 1/3 is not exact in binary; its rounding must not ask for one worker too many.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the deployment allows. `max_workers` is resolved: at least 1."""

    enabled: bool
    min_workers: int
    max_workers: int
    target_utilisation: float
    cooldown_s: float
    idle_s: float


@dataclass(frozen=True, slots=True)
class Demand:
    """Sessions that have a stream, and sessions that wait for one."""

    live: int
    waiting: int


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """One worker that is not on its way out. `slots` is None until it is ready, and again when it drains or failed."""

    worker: str
    slots: int | None
    live: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What one decision hands to the next. Times are monotonic seconds, of the same clock as `now`."""

    wanted: int
    last_used: float
    spare_since: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers are wanted, and which idle ones may stop for it. There may be fewer victims than surplus."""

    wanted: int
    victims: tuple[str, ...]
    memory: Memory


def begin(bounds: Bounds, now: float, *, resumed: int = 0) -> Memory:
    """Give the first memory: the floor, or the count that was wanted before a restart."""
    return Memory(wanted=_clamp(resumed, bounds) if bounds.enabled else max(1, bounds.min_workers), last_used=now)


def initialize(memory: Memory, now: float) -> Memory:
    """Raise the floor to one worker and begin the idle time anew: the only way up from zero."""
    return replace(memory, wanted=max(1, memory.wanted), last_used=now)


def decide(demand: Demand, workers: Sequence[WorkerLoad], bounds: Bounds, memory: Memory, now: float) -> Decision:
    """Give the wanted count, the victims, and the memory for next time.

    Up at once and as far as the demand asks; down by one after the cooldown; to the floor after the idle time.
    """
    if not bounds.enabled:
        return _conclude(replace(memory, wanted=max(1, bounds.min_workers)), workers)
    load = demand.live + demand.waiting
    used = load > 0 or any(worker.live for worker in workers)
    memory = replace(memory, wanted=_clamp(memory.wanted, bounds), last_used=now if used else memory.last_used)
    if now - memory.last_used >= bounds.idle_s:
        return _conclude(replace(memory, wanted=_clamp(0, bounds), spare_since=None), workers)
    if memory.wanted == 0:
        return _conclude(memory, workers)
    missing = _missing(load, workers, bounds, memory.wanted)
    if missing:
        return _conclude(replace(memory, wanted=_clamp(memory.wanted + missing, bounds), spare_since=None), workers)
    return _conclude(_shrink(load, workers, bounds, memory, now), workers)


def _missing(load: int, workers: Sequence[WorkerLoad], bounds: Bounds, wanted: int) -> int:
    """Count the workers wanted beyond `wanted`; those whose slots are not known yet are taken for average ones."""
    known = [worker.slots for worker in workers if worker.slots]
    if not known:
        return 0  # Nothing says yet what a worker can carry: one that is starting will.
    average = sum(known) / len(known)
    capacity = sum(known) + max(0, wanted - len(known)) * average
    excess = load - bounds.target_utilisation * capacity
    return max(0, math.ceil(excess / (bounds.target_utilisation * average) - _ROUNDING))


def _shrink(load: int, workers: Sequence[WorkerLoad], bounds: Bounds, memory: Memory, now: float) -> Memory:
    """Want one fewer once the ready workers have sufficed without the idlest for the cooldown."""
    idlest = _idlest(workers, 1)
    rest = sum(worker.slots or 0 for worker in workers if worker.worker not in idlest)
    # The rest must carry the load without another worker being wanted at once: that is what keeps it from swinging.
    if memory.wanted <= max(1, bounds.min_workers) or not idlest or load > bounds.target_utilisation * rest:
        return replace(memory, spare_since=None)
    since = now if memory.spare_since is None else memory.spare_since
    if now - since < bounds.cooldown_s:
        return replace(memory, spare_since=since)
    return replace(memory, wanted=memory.wanted - 1, spare_since=now)


def _conclude(memory: Memory, workers: Sequence[WorkerLoad]) -> Decision:
    return Decision(memory.wanted, _idlest(workers, len(workers) - memory.wanted), memory)


def _idlest(workers: Sequence[WorkerLoad], count: int) -> tuple[str, ...]:
    """Name at most `count` workers without a live session: those with fewest slots first, the newest among equals."""
    idle = [worker for worker in reversed(workers) if worker.live == 0]
    idle.sort(key=lambda worker: worker.slots or 0)
    return tuple(worker.worker for worker in idle[: max(0, count)])


def _clamp(count: int, bounds: Bounds) -> int:
    return min(max(count, bounds.min_workers), bounds.max_workers)
