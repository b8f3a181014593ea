"""How many workers there should be, and which of them may go: a pure function and the memory that it hands on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, repeat
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
    spare_slots: int
    cooldown_s: float
    idle_s: float


@dataclass(frozen=True, slots=True)
class Demand:
    """Sessions that have a stream, and sessions that wait for one."""

    live: int
    waiting: int


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """One worker. `slots` is None until it is ready, and again when it drains or failed; `ending`: it was a victim."""

    worker: str
    slots: int | None
    live: int
    ending: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What one decision hands to the next. Times are monotonic seconds, of the same clock as `now`.

    `needs` is what the cooldown looks back on: when each need was last felt, the highest first and later ones lower.
    """

    wanted: int
    last_used: float
    needs: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers are wanted; how many should be there, not counting those that end; and which should end.

    `count` is more than `wanted` while some may not go yet, and less while those that drain fill the maximum. A victim
    with live sessions is to be drained: it takes no more, and ends when they have moved.
    """

    wanted: int
    count: int
    victims: tuple[str, ...]
    memory: Memory


def begin(bounds: Bounds, now: float, *, resumed: int = 0) -> Memory:
    """Give the first memory: the floor, or the count that was wanted before a restart."""
    return Memory(wanted=_clamp(resumed, bounds) if bounds.enabled else max(1, bounds.min_workers), last_used=now)


def initialize(memory: Memory, now: float) -> Memory:
    """Raise the floor to one worker and begin the idle time anew: the only way up from zero."""
    return replace(memory, wanted=max(1, memory.wanted), last_used=now)


def decide(demand: Demand, workers: Sequence[WorkerLoad], bounds: Bounds, memory: Memory, now: float) -> Decision:
    """Give the wanted count, the victims, and the memory for next time. Workers come oldest first.

    Wanted is the highest need of the last cooldown, as Kubernetes' HorizontalPodAutoscaler has it: so the count rises
    at once, as far as the demand asks, and falls to what the whole cooldown would have needed. A timer that the last
    busy moment begins anew could only fall by one each time, for it forgets how busy that moment was.
    After the idle time the count is the floor.
    """
    if not bounds.enabled:
        return _conclude(demand, workers, bounds, replace(memory, wanted=max(1, bounds.min_workers)))
    load = demand.live + demand.waiting
    used = load > 0 or any(worker.live for worker in workers)
    memory = replace(memory, wanted=_clamp(memory.wanted, bounds), last_used=now if used else memory.last_used)
    if now - memory.last_used >= bounds.idle_s:
        return _conclude(demand, workers, bounds, replace(memory, wanted=bounds.min_workers, needs=()))
    if memory.wanted == 0:
        return _conclude(demand, workers, bounds, memory)
    staying = [worker for worker in workers if not worker.ending]
    need = _clamp(max(1, _need(load, staying, bounds, memory.wanted)), bounds)
    needs = _look_back(memory.needs or ((now, memory.wanted),), need, now - bounds.cooldown_s, now)
    return _conclude(demand, workers, bounds, replace(memory, wanted=_clamp(needs[0][1], bounds), needs=needs))


def _need(load: int, staying: Sequence[WorkerLoad], bounds: Bounds, wanted: int) -> int:
    """Count the workers that suffice; `wanted` while nothing says what a worker can carry.

    The last to go are counted first: those that are left when the others have gone must not ask for them back. For more
    than `wanted`, workers whose slots are not known yet or that do not exist yet are taken for average ones; for fewer,
    only known slots count, lest a guess that proves wrong asks for them back.
    """
    slots = [worker.slots for worker in reversed(_first_to_go(staying))]
    known = [count for count in slots if count]
    if not known:
        return wanted
    average = sum(known) / len(known)
    needed = max(load / bounds.target_utilisation, load + bounds.spare_slots) - _ROUNDING
    guessed = (average if count is None else count for count in slots)
    likely = _fewest(needed, chain(guessed, repeat(average, bounds.max_workers)), otherwise=bounds.max_workers)
    if likely > wanted:
        return likely
    return min(wanted, _fewest(needed, (count or 0 for count in slots), otherwise=wanted))


def _fewest(needed: float, slots: Iterable[float], *, otherwise: int) -> int:
    """Count how many of the first workers have the slots that are needed."""
    sums = enumerate(accumulate(slots, initial=0.0))
    return next((count for count, total in sums if total >= needed), otherwise)


def _look_back(
    needs: tuple[tuple[float, int], ...], need: int, since: float, now: float
) -> tuple[tuple[float, int], ...]:
    """Add a need to the others; kept are those that are higher and were felt after `since`."""
    return (*((at, higher) for at, higher in needs if higher > need and at > since), (now, need))


def _conclude(demand: Demand, workers: Sequence[WorkerLoad], bounds: Bounds, memory: Memory) -> Decision:
    staying = [worker for worker in workers if not worker.ending]
    # Without slots a worker takes no stream, so what it still has is on the move.
    moving = sum(worker.live for worker in workers if worker.slots is None)
    victims = _victims(demand, staying, moving, len(staying) - memory.wanted)
    draining = sum(worker.ending and worker.live > 0 for worker in workers)
    most = max(bounds.max_workers, memory.wanted) - draining
    return Decision(memory.wanted, max(min(memory.wanted, most), len(staying) - len(victims)), victims, memory)


def _victims(demand: Demand, staying: Sequence[WorkerLoad], moving: int, surplus: int) -> tuple[str, ...]:
    """Name at most `surplus` workers; at most one of them has live sessions, and none while those of another move.

    The free slots of those that stay must hold all that move and all that wait.
    """
    free = sum(_free(worker) for worker in staying)
    victims: list[str] = []
    for worker in _first_to_go(staying)[: max(0, surplus)]:
        if worker.live and moving:
            break
        left = free - _free(worker)
        if (worker.live or worker.slots) and moving + worker.live + demand.waiting > left:
            break
        victims.append(worker.worker)
        free, moving = left, moving + worker.live
    return tuple(victims)


def _first_to_go(workers: Sequence[WorkerLoad]) -> list[WorkerLoad]:
    """Order workers: those with fewest live sessions first, then with fewest slots, then the newest."""
    order = list(reversed(workers))
    order.sort(key=lambda worker: (worker.live, worker.slots or 0))
    return order


def _free(worker: WorkerLoad) -> int:
    return max(0, (worker.slots or 0) - worker.live)


def _clamp(count: int, bounds: Bounds) -> int:
    return min(max(count, bounds.min_workers), bounds.max_workers)
