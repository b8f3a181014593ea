"""The fleet against scripted workers on real sockets: start, slots and refusal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from scribewire import frames
from scribewire.errors import (
    AtCapacity,
    EngineFailed,
    EngineMissing,
    InitializeFailed,
    NeverReady,
    ScaledDown,
    ScribewireError,
    UnknownLanguage,
)
from scribewire.gateway import fleet as fleet_module
from scribewire.gateway.fleet import Status, WorkerPhase
from scribewire.gateway.link import StreamRequest
from tests.gateway.doubles import (
    DiesWhileOpening,
    MissingEngine,
    NeverAnswersOpen,
    NeverGetsReady,
    RefusesAlways,
    ScriptedWorker,
    SendsGarbage,
    UnservedLanguage,
    eventually,
)
from tests.gateway.fleets import REPLACEMENT, REQUEST, Started, fill, ignore, settings

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


@pytest.mark.parametrize(("worker", "error"), [(UnservedLanguage, UnknownLanguage), (MissingEngine, EngineMissing)])
async def test_what_no_worker_would_serve_is_told_at_once(
    started: Started, worker: type[ScriptedWorker], error: type[ScribewireError]
) -> None:
    fleet, _ = await started(worker)
    await fleet.initialize()
    with pytest.raises(error):
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
