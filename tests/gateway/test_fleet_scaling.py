"""The fleet against scripted workers on real sockets: loss, scaling, the target and the end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from scribewire import frames
from scribewire.errors import InitializeFailed, NotFound, ScaledDown, ServiceStopping, StoreFailed
from scribewire.gateway import fleet as fleet_module
from scribewire.gateway.bounds import bounds_of
from scribewire.gateway.fleet import Fleet, Status, WorkerPhase
from scribewire.scalers.base import Sighting
from scribewire.scalers.static import StaticScaler
from scribewire.settings import ScalerSettings, Settings
from tests.gateway.doubles import (
    InMemoryScaler,
    InMemoryTargets,
    NeverGetsReady,
    ScriptedWorker,
    SilentAfterWelcome,
    eventually,
)
from tests.gateway.fleets import REPLACEMENT, REQUEST, Started, fill, ignore, settings

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


async def test_a_worker_that_comes_back_at_another_address_is_linked_again(started: Started) -> None:
    fleet, scaler = await started()
    await fleet.initialize()
    worker = scaler.workers["w1"]
    await worker.stop()
    await eventually(lambda: fleet.status() is Status.STARTING)
    await worker.start_tcp()
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
    [phase] = [view.phase for view in fleet.view().workers if view.worker == stream.worker]
    assert phase in (WorkerPhase.DRAINING, WorkerPhase.STOPPING)  # the latter once another is to take its place


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


async def test_a_victim_with_sessions_drains_while_the_others_take_them(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(max_workers=2, cooldown_s=0.1), slots=3)
    await fleet.initialize()
    heard: dict[str, list[frames.Frame]] = {"w1": [], "w2": []}
    streams = [await fleet.open_stream(REQUEST, heard["w1"].append) for _ in range(3)]
    await eventually(lambda: fleet.view().workers[-1].worker == "w2" and fleet.view().workers[-1].slots)
    moving = await fleet.open_stream(REQUEST, heard["w2"].append)
    assert (streams[0].worker, moving.worker) == ("w1", "w2")
    for stream in streams[1:]:
        stream.abort()
    await eventually(lambda: [type(frame) for frame in heard["w2"]] == [frames.Draining])
    assert scaler.scaled[-1] == (1, ("w2",))
    assert [view.phase for view in fleet.view().workers] == [WorkerPhase.READY, WorkerPhase.STOPPING]
    assert (await fleet.open_stream(REPLACEMENT, ignore)).worker == "w1"
    moving.abort()
    await eventually(lambda: list(scaler.workers) == ["w1"])
    assert heard["w1"] == []
    assert (fleet.live, fleet.view().target) == (2, 1)


async def test_a_worker_whose_sessions_have_nowhere_to_go_stays(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(max_workers=2, cooldown_s=0.05), slots=3)
    await fleet.initialize()
    streams = await fill(fleet, 3)
    await eventually(lambda: fleet.view().workers[-1].worker == "w2" and fleet.view().workers[-1].slots)
    streams += await fill(fleet, 1)
    streams[0].abort()
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


async def test_a_session_wakes_the_service_when_that_is_allowed(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(wake_on_start=True))
    streams = await asyncio.gather(*(fleet.open_stream(REQUEST, ignore) for _ in range(2)))
    assert [stream.worker for stream in streams] == ["w1", "w1"]
    assert scaler.scaled[0] == (1, ())


async def test_a_session_that_wakes_a_service_that_cannot_start_is_told(started: Started) -> None:
    fleet, scaler = await started(chosen=settings(wake_on_start=True))
    scaler.refuses = InitializeFailed("no room")
    with pytest.raises(ScaledDown):
        await fleet.open_stream(REQUEST, ignore)
    assert fleet.status() is Status.SCALED_DOWN


class Bounded(StaticScaler):
    """Breaks the fleet that looks at its workers all the time."""

    most = 1000
    looks = 0

    async def observe(self) -> list[Sighting]:
        self.looks += 1
        if self.looks > self.most:
            raise AssertionError("the fleet lets nobody else run")
        return await super().observe()


async def test_a_worker_that_nobody_can_stop_is_there_when_it_is_wanted(folder: Path) -> None:
    worker = ScriptedWorker("w1", folder)
    await worker.start()
    scaler = Bounded([worker.address])
    fleet = Fleet(settings(), scaler, InMemoryTargets(), name="tests")
    try:
        await fleet.start()
        await eventually(lambda: [view.phase for view in fleet.view().workers] == [WorkerPhase.READY])
        assert fleet.status() is Status.SCALED_DOWN
        await fleet.initialize()
        assert (await fleet.open_stream(REQUEST, ignore)).worker == "w1"
        assert scaler.looks < scaler.most
    finally:
        await fleet.stop()
        await worker.stop()


async def test_a_drained_worker_is_told_and_replaced(started: Started) -> None:
    fleet, scaler = await started()
    await fleet.initialize()
    worker = scaler.workers["w1"]
    fleet.drain("w1")
    await eventually(lambda: (1, ("w1",)) in scaler.scaled)
    await eventually(lambda: fleet.status() is Status.READY and list(scaler.workers) == ["w2"])
    assert any(isinstance(frame, frames.Drain) for frame in worker.heard)
    assert scaler.scaled.count((1, ("w1",))) == 1
    with pytest.raises(NotFound):
        fleet.drain("w1")


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
    fleet = Fleet(settings(max_workers=1), scaler, InMemoryTargets(), name="tests")
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
    fleet = Fleet(settings(), InMemoryScaler(folder, [NeverGetsReady]), InMemoryTargets(), name="tests")
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
