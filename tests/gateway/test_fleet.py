"""The fleet against scripted workers on real sockets: start, slots, loss, refusal, scaling and the target."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from scribewire import frames
from scribewire.errors import (
    AtCapacity,
    EngineFailed,
    InitializeFailed,
    NeverReady,
    ScaledDown,
    ServiceStopping,
    StoreFailed,
    UnknownLanguage,
)
from scribewire.gateway import fleet as fleet_module
from scribewire.gateway.fleet import Fleet, Status, WorkerPhase, bounds_of
from scribewire.gateway.link import RemoteStream, StreamRequest
from scribewire.scalers.local import make_run_dir
from scribewire.settings import AutoscalingSettings, LimitSettings, ScalerSettings, SessionSettings, Settings
from tests.gateway.doubles import (
    DiesWhileOpening,
    InMemoryScaler,
    InMemoryTargets,
    NeverAnswersOpen,
    NeverGetsReady,
    RefusesAlways,
    ScriptedWorker,
    SendsGarbage,
    SilentAfterWelcome,
    UnservedLanguage,
    eventually,
)

REQUEST = StreamRequest("s1", "en", "fast", 0, partial=True, actual_numbers=False, resume=b"")
REPLACEMENT = replace(REQUEST, session="lost", replacement=True)


def settings(
    *,
    enabled: bool = True,
    min_workers: int = 0,
    max_workers: int = 2,
    cooldown_s: float = 60.0,
    idle_s: float = 60.0,
    start_wait_s: float = 5.0,
    slot_wait_s: float = 5.0,
    replace_wait_s: float = 5.0,
    sessions: int = 100,
) -> Settings:
    return Settings(
        autoscaling=AutoscalingSettings(
            enabled=enabled,
            min_workers=min_workers,
            max_workers=max_workers,
            cooldown_s=cooldown_s,
            idle_s=idle_s,
            start_wait_s=start_wait_s,
        ),
        session=SessionSettings(slot_wait_s=slot_wait_s, replace_wait_s=replace_wait_s),
        limits=LimitSettings(sessions=sessions),
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    made = make_run_dir()
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Started]:
    """Give a function that starts a fleet."""
    monkeypatch.setattr(fleet_module, "PERIOD_S", 0.02)
    fleets: list[Fleet] = []

    async def start(
        *makes: type[ScriptedWorker],
        targets: InMemoryTargets | None = None,
        chosen: Settings | None = None,
        slots: int = 2,
    ) -> tuple[Fleet, InMemoryScaler]:
        scaler = InMemoryScaler(folder, makes or (ScriptedWorker,), slots)
        fleet = Fleet(chosen or settings(), scaler, targets or InMemoryTargets(), name="tests")
        fleets.append(fleet)
        await fleet.start()
        return fleet, scaler

    yield start
    for fleet in fleets:
        await fleet.stop()


Started = Callable[..., Awaitable[tuple[Fleet, InMemoryScaler]]]


def ignore(frame: frames.Frame) -> None:
    """Listen to nothing."""


async def fill(fleet: Fleet, count: int) -> list[RemoteStream]:
    return [await fleet.open_stream(REQUEST, ignore) for _ in range(count)]


# --- initialize ------------------------------------------------------------------------------------------------------


async def test_a_first_start_has_no_worker_and_refuses_sessions_at_once(started: Started) -> None:
    fleet, scaler = await started()
    assert fleet.status() is Status.SCALED_DOWN
    with pytest.raises(ScaledDown):
        await fleet.open_stream(REQUEST, ignore)
    await asyncio.sleep(0.05)
    assert scaler.workers == {}


async def test_initialize_waits_for_one_ready_worker(started: Started) -> None:
    fleet, scaler = await started()
    waiting = asyncio.create_task(fleet.initialize())
    await asyncio.sleep(0)
    assert fleet.status() is Status.STARTING
    await waiting
    assert fleet.status() is Status.READY
    assert list(scaler.workers) == ["w1"]
    (view,) = fleet.view().workers
    assert (view.worker, view.phase, view.slots, view.pid) == ("w1", WorkerPhase.READY, 2, 1234)


async def test_concurrent_callers_share_one_start(started: Started) -> None:
    fleet, scaler = await started()
    await asyncio.gather(*(fleet.initialize() for _ in range(5)))
    assert [count for count, _ in scaler.scaled] == [1]


async def test_a_start_survives_the_callers_that_leave(started: Started) -> None:
    fleet, _ = await started()
    caller = asyncio.create_task(fleet.initialize())
    await asyncio.sleep(0)
    caller.cancel()
    await eventually(lambda: fleet.status() is Status.READY)


async def test_without_autoscaling_initialize_returns_at_once_and_workers_run_anyway(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(enabled=False, min_workers=2))
    await fleet.initialize()
    assert fleet.status() is Status.STARTING
    await eventually(lambda: len(scaler.workers) == 2 and fleet.status() is Status.READY)


async def test_a_worker_that_is_never_ready_ends_the_wait_in_time(started: Started) -> None:
    fleet, _ = await started(NeverGetsReady, chosen=settings(start_wait_s=0.2))
    with pytest.raises(NeverReady):
        await fleet.initialize()
    assert fleet.status() is Status.STARTING
    assert fleet.view().workers[0].phase is WorkerPhase.LOADING


async def test_a_worker_that_keeps_crashing_ends_the_wait_early(started: Started) -> None:
    fleet, scaler = await started(NeverGetsReady, chosen=settings(start_wait_s=60.0))
    waiting = asyncio.create_task(fleet.initialize())
    await eventually(lambda: scaler.workers)
    scaler.fail("w1", failures=2)
    await eventually(lambda: fleet.view().workers[0].phase is WorkerPhase.FAILED)
    assert not waiting.done()
    scaler.fail("w1", failures=3)
    with pytest.raises(NeverReady):
        await asyncio.wait_for(waiting, 2)
    assert fleet.view().workers[0].reason == "killed by SIGKILL"


async def test_a_scaler_that_refuses_is_told_with_its_reason_and_nothing_is_said_to_be_starting(
    started: Started,
) -> None:
    fleet, scaler = await started()
    scaler.refuses = InitializeFailed("a worker could not be spawned (Cannot allocate memory)")
    with pytest.raises(InitializeFailed, match="Cannot allocate memory"):
        await fleet.initialize()
    assert fleet.status() is Status.SCALED_DOWN
    scaler.refuses = None
    await fleet.initialize()
    assert fleet.status() is Status.READY


async def test_a_scaler_that_hangs_is_given_up(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "SCALER_WAIT_S", 0.1)
    fleet, scaler = await started()
    scaler.hangs = True
    with pytest.raises(InitializeFailed, match="did not answer in time"):
        await fleet.initialize()


async def test_an_error_that_every_caller_left_behind_is_nobodys_surprise(started: Started) -> None:
    fleet, _ = await started(NeverGetsReady, chosen=settings(start_wait_s=0.1))
    caller = asyncio.create_task(fleet.initialize())
    await asyncio.sleep(0)
    caller.cancel()
    await eventually(lambda: fleet.view().workers)
    await asyncio.sleep(0.15)
    with pytest.raises(NeverReady):
        await fleet.initialize()


# --- slots -----------------------------------------------------------------------------------------------------------


async def test_a_session_of_a_starting_service_waits_for_its_worker(started: Started) -> None:
    fleet, _ = await started()
    starting = asyncio.create_task(fleet.initialize())
    await asyncio.sleep(0)
    stream = await fleet.open_stream(REQUEST, ignore)
    assert stream.worker == "w1"
    await starting


async def test_what_a_stream_says_reaches_its_listener(started: Started) -> None:
    fleet, _ = await started()
    await fleet.initialize()
    heard: list[frames.Frame] = []
    stream = await fleet.open_stream(REQUEST, heard.append)
    stream.feed(bytes(3_200))
    stream.finish()
    await eventually(lambda: heard and isinstance(heard[-1], frames.Finished))
    assert fleet.live == 0


async def test_streams_go_where_most_slots_are_free(started: Started) -> None:
    fleet, _ = await started(chosen=settings(enabled=False, min_workers=2))
    await eventually(lambda: [view.phase for view in fleet.view().workers] == [WorkerPhase.READY] * 2)
    streams = await fill(fleet, 4)
    assert [sorted(stream.worker for stream in pair) for pair in (streams[:2], streams[2:])] == [["w1", "w2"]] * 2


async def test_a_full_service_refuses_after_the_bound_and_says_when_to_come_back(started: Started) -> None:
    fleet, _ = await started(chosen=settings(max_workers=1, slot_wait_s=0.1))
    await fleet.initialize()
    await fill(fleet, 2)
    with pytest.raises(AtCapacity) as caught:
        await fleet.open_stream(REQUEST, ignore)
    assert caught.value.retry_after_s == 1
    assert fleet.waiting == 0


async def test_when_to_come_back_follows_the_pace_of_freed_slots_and_the_length_of_the_line(started: Started) -> None:
    fleet, _ = await started(chosen=settings(max_workers=1, slot_wait_s=0.5), slots=1)
    await fleet.initialize()
    for _ in range(5):
        (stream,) = await fill(fleet, 1)
        stream.abort()
    await fill(fleet, 1)
    refused = await asyncio.gather(*(fleet.open_stream(REQUEST, ignore) for _ in range(40)), return_exceptions=True)
    waits_s = [error.retry_after_s or 0 for error in refused if isinstance(error, AtCapacity)]
    assert len(waits_s) == 40
    assert 2 <= max(waits_s) <= 20  # five slots in half a second, and forty in line
    assert min(waits_s) == 1


async def test_those_who_wait_are_served_in_order_and_replacements_first(started: Started) -> None:
    fleet, _ = await started(chosen=settings(max_workers=1), slots=1)
    await fleet.initialize()
    (held,) = await fill(fleet, 1)
    served: list[str] = []

    async def session(request: StreamRequest) -> None:
        stream = await fleet.open_stream(request, ignore)
        served.append(request.session)
        stream.abort()

    tasks = [asyncio.create_task(session(replace(REQUEST, session=name))) for name in ("a", "b")]
    await eventually(lambda: fleet.waiting == 2)
    tasks.append(asyncio.create_task(session(REPLACEMENT)))
    await eventually(lambda: fleet.waiting == 3)
    held.abort()
    await asyncio.gather(*tasks)
    assert served == ["lost", "a", "b"]


async def test_the_gateway_never_opens_more_streams_than_there_are_slots(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(max_workers=1), slots=3)
    await fleet.initialize()
    most = 0

    async def session() -> None:
        nonlocal most
        stream = await fleet.open_stream(REQUEST, ignore)
        most = max(most, scaler.workers["w1"].live)
        stream.feed(bytes(640))
        await asyncio.sleep(0.001)
        stream.abort()

    await asyncio.gather(*(session() for _ in range(40)))
    assert most <= 3
    assert not any(isinstance(frame, frames.Refused) for frame in scaler.workers["w1"].heard)


async def test_the_waiting_line_is_bounded(started: Started) -> None:
    fleet, _ = await started(chosen=settings(max_workers=1, sessions=2), slots=1)
    await fleet.initialize()
    await fill(fleet, 1)
    waiting = [asyncio.create_task(fleet.open_stream(REQUEST, ignore)) for _ in range(2)]
    await eventually(lambda: fleet.waiting == 2)
    with pytest.raises(AtCapacity):
        await fleet.open_stream(REQUEST, ignore)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert fleet.waiting == 0


async def test_a_session_that_leaves_while_it_is_served_leaves_no_stream(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(max_workers=1), slots=1)
    await fleet.initialize()
    for loops in range(12):
        opening = asyncio.create_task(fleet.open_stream(REQUEST, ignore))
        for _ in range(loops):
            await asyncio.sleep(0)
        opening.cancel()
        with suppress(asyncio.CancelledError):
            (await opening).abort()
        await eventually(lambda: fleet.live == 0 and fleet.waiting == 0)
        await eventually(lambda: scaler.workers["w1"].live == 0)


async def test_a_language_that_the_workers_do_not_serve_is_told_as_such(started: Started) -> None:
    fleet, _ = await started(UnservedLanguage)
    await fleet.initialize()
    with pytest.raises(UnknownLanguage):
        await fleet.open_stream(REQUEST, ignore)


@pytest.mark.parametrize("bad", [RefusesAlways, DiesWhileOpening, SendsGarbage, NeverAnswersOpen])
async def test_a_session_whose_worker_misbehaves_is_placed_in_another(
    started: Started, bad: type[ScriptedWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scribewire.gateway.link.OPEN_WAIT_S", 0.1)
    fleet, _ = await started(bad, ScriptedWorker, chosen=settings(enabled=False, min_workers=2))
    await eventually(lambda: [view.phase for view in fleet.view().workers] == [WorkerPhase.READY] * 2)
    heard: list[frames.Frame] = []
    streams = [await fleet.open_stream(REQUEST, heard.append) for _ in range(2)]
    assert [stream.worker for stream in streams] == ["w2", "w2"]
    assert heard == []


async def test_a_worker_that_always_refuses_ends_in_at_capacity(started: Started) -> None:
    fleet, _ = await started(RefusesAlways, chosen=settings(max_workers=1, slot_wait_s=0.2))
    await fleet.initialize()
    with pytest.raises(AtCapacity):
        await fleet.open_stream(REQUEST, ignore)
    assert (fleet.live, fleet.waiting) == (0, 0)


async def test_a_replacement_that_finds_nothing_in_time_fails(started: Started) -> None:
    fleet, _ = await started(chosen=settings(replace_wait_s=0.1))
    with pytest.raises(EngineFailed):
        await fleet.open_stream(REPLACEMENT, ignore)


# --- loss ------------------------------------------------------------------------------------------------------------


async def test_a_lost_worker_breaks_its_streams_and_a_replacement_waits_for_the_next(started: Started) -> None:
    fleet, scaler = await started()
    await fleet.initialize()
    heard: list[frames.Frame] = []
    await fleet.open_stream(REQUEST, heard.append)
    await scaler.workers["w1"].stop()
    await eventually(lambda: [type(frame) for frame in heard] == [frames.Broken])
    assert fleet.status() is Status.STARTING
    waiting = asyncio.create_task(fleet.open_stream(REPLACEMENT, ignore))
    await scaler.workers.pop("w1").stop()
    assert (await waiting).worker == "w2"


async def test_a_worker_that_comes_back_at_its_address_is_linked_again(started: Started) -> None:
    fleet, scaler = await started()
    await fleet.initialize()
    worker = scaler.workers["w1"]
    await worker.stop()
    await eventually(lambda: fleet.status() is Status.STARTING)
    scaler.fail("w1", failures=1)
    await eventually(lambda: fleet.view().workers[0].phase is WorkerPhase.FAILED)
    Path(worker.address.removeprefix("unix:")).unlink()
    await worker.start()
    del scaler.failed["w1"]
    await eventually(lambda: fleet.status() is Status.READY)


async def test_a_ready_worker_that_falls_silent_and_stays_away_is_replaced(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scribewire.gateway.link.LOST_AFTER_S", 0.15)
    monkeypatch.setattr("scribewire.gateway.link.CONNECT_WAIT_S", 0.05)
    monkeypatch.setattr(fleet_module, "HUNG_AFTER_S", 0.1)
    fleet, scaler = await started(SilentAfterWelcome, ScriptedWorker)
    await fleet.initialize()
    silent = scaler.workers["w1"]
    monkeypatch.setattr(silent, "take", lambda frame: None)
    await eventually(lambda: "w2" in scaler.workers)
    assert scaler.scaled[-1] == (1, ("w1",))
    await eventually(lambda: fleet.status() is Status.READY)


async def test_a_draining_worker_gets_no_new_streams_and_its_old_ones_are_told(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(enabled=False, min_workers=2))
    await eventually(lambda: [view.phase for view in fleet.view().workers] == [WorkerPhase.READY] * 2)
    heard: list[frames.Frame] = []
    stream = await fleet.open_stream(REQUEST, heard.append)
    drained = scaler.workers[stream.worker]
    drained.phase = "draining"
    drained.say(frames.Draining("it is being replaced"))
    await eventually(lambda: [type(frame) for frame in heard] == [frames.Draining])
    assert stream.worker not in {(await fleet.open_stream(REQUEST, ignore)).worker for _ in range(2)}
    assert WorkerPhase.DRAINING in {view.phase for view in fleet.view().workers}


# --- scaling ---------------------------------------------------------------------------------------------------------


async def test_workers_come_as_slots_fill_and_an_idle_one_goes_after_the_cooldown(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(max_workers=3, cooldown_s=0.1))
    await fleet.initialize()
    streams = await fill(fleet, 2)
    await eventually(lambda: len(scaler.workers) == 2)
    streams += await fill(fleet, 1)
    by_worker = {stream.worker: stream for stream in streams}
    by_worker["w2"].abort()
    streams[0].abort()
    await eventually(lambda: len(scaler.workers) == 1)
    assert (fleet.live, list(scaler.workers)) == (1, ["w1"])


async def test_a_worker_with_sessions_is_never_a_victim(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(max_workers=2, cooldown_s=0.05), slots=3)
    await fleet.initialize()
    streams = await fill(fleet, 3)
    await eventually(lambda: fleet.view().workers[-1].worker == "w2" and fleet.view().workers[-1].slots)
    streams += await fill(fleet, 1)
    for stream in streams[:2]:
        stream.abort()
    await asyncio.sleep(0.2)
    assert sorted(scaler.workers) == ["w1", "w2"]


async def test_all_workers_go_after_the_idle_time_and_initialize_brings_one_back(started: Started) -> None:
    targets = InMemoryTargets()
    fleet, scaler = await started(targets=targets, chosen=settings(max_workers=1, idle_s=0.2))
    await fleet.initialize()
    (stream,) = await fill(fleet, 1)
    await asyncio.sleep(0.3)
    assert fleet.status() is Status.READY
    stream.abort()
    await eventually(lambda: not scaler.workers)
    assert fleet.status() is Status.SCALED_DOWN
    await eventually(lambda: targets.written[-1] == 0)
    await fleet.initialize()
    assert list(scaler.workers) == ["w2"]


# --- the target ------------------------------------------------------------------------------------------------------


async def test_a_young_target_is_resumed_and_its_clients_meet_starting(started: Started) -> None:
    fleet, scaler = await started(
        targets=InMemoryTargets((2, time.time() - 10)), chosen=settings(max_workers=4, idle_s=60.0)
    )
    assert fleet.status() is Status.STARTING
    await eventually(lambda: len(scaler.workers) == 2)


async def test_an_old_target_is_forgotten(started: Started) -> None:
    targets = InMemoryTargets((2, time.time() - 100))
    fleet, _ = await started(targets=targets, chosen=settings(max_workers=1, idle_s=60.0))
    assert fleet.status() is Status.SCALED_DOWN
    await eventually(lambda: targets.written == [0])


async def test_a_target_in_use_is_said_again_so_that_it_stays_young(started: Started) -> None:
    targets = InMemoryTargets()
    fleet, _ = await started(targets=targets, chosen=settings(max_workers=1, idle_s=1.0))
    await fleet.initialize()
    await fill(fleet, 1)
    await eventually(lambda: targets.written.count(1) >= 3)


async def test_a_store_that_fails_stops_nothing(started: Started) -> None:
    class Broken(InMemoryTargets):
        async def read_target(self) -> tuple[int, float] | None:
            raise StoreFailed

        async def write_target(self, count: int) -> None:
            raise StoreFailed

    fleet, _ = await started(targets=Broken())
    await fleet.initialize()
    assert fleet.status() is Status.READY


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_stopping_ends_every_wait_and_every_stream(folder: Path) -> None:
    scaler = InMemoryScaler(folder, slots=1)
    fleet = Fleet(settings(max_workers=1), scaler, InMemoryTargets())
    await fleet.start()
    await fleet.initialize()
    heard: list[frames.Frame] = []
    await fleet.open_stream(REQUEST, heard.append)
    waiting = asyncio.create_task(fleet.open_stream(REQUEST, ignore))
    await eventually(lambda: fleet.waiting == 1)
    await fleet.stop()
    with pytest.raises(ServiceStopping):
        await waiting
    assert [type(frame) for frame in heard] == [frames.Broken]
    with pytest.raises(ServiceStopping):
        await fleet.open_stream(REQUEST, ignore)
    with pytest.raises(ServiceStopping):
        await fleet.initialize()


async def test_stopping_ends_an_initialize(folder: Path) -> None:
    fleet = Fleet(settings(), InMemoryScaler(folder, [NeverGetsReady]), InMemoryTargets())
    await fleet.start()
    waiting = asyncio.create_task(fleet.initialize())
    await eventually(lambda: fleet.view().workers)
    await fleet.stop()
    with pytest.raises(ServiceStopping):
        await waiting


def test_the_most_workers_are_the_cores_or_the_addresses_unless_set() -> None:
    assert bounds_of(Settings()).max_workers >= 1
    assert bounds_of(settings(max_workers=7)).max_workers == 7
    static = Settings(scaler=ScalerSettings(kind="static", addresses=("tcp:a:1", "tcp:b:1", "tcp:c:1")))
    assert bounds_of(static).max_workers == 3
