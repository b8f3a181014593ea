"""Runs against a service that says what it is told to: what is timed and counted, and how runs end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection

from scribewire.bench.clips import Clip, Reel
from scribewire.bench.figures import Figures, figures_of
from scribewire.bench.load import Run
from scribewire.bench.speaker import Plan
from scribewire.bench.usage import Gauge
from scribewire.client import Client
from scribewire.errors import AtCapacity, Disconnected, ScribewireError, ServiceStopping, Unreachable
from scribewire.tones import say
from tests.client.fake_service import LISTENING, STOPPED, FakeService, running

pytestmark = pytest.mark.e2e

# Real time, but little of it.
PLAN = Plan(sessions=3, seconds=0.2, warm_up_s=0.1, frame_ms=20)
REEL = Reel([Clip("alfa", say("alfa"), "alfa")])
Talk = Callable[[FakeService, ServerConnection], Awaitable[None]]


async def run_against(talk: Talk, plan: Plan = PLAN, *, interrupt: bool = False) -> Run:
    """Run to the end; with `interrupt`, until every session has spoken."""

    async def script(connection: ServerConnection) -> None:
        await talk(service, connection)

    service = FakeService(script)
    run = Run(plan, REEL)

    async def wait_spoken() -> None:
        while len(run.heard) < plan.sessions or not all(heard.sent_s for heard in run.heard):
            await asyncio.sleep(0.01)
        run.interrupted.set()

    waiting = asyncio.create_task(wait_spoken()) if interrupt else None
    async with running(service), Client(service.url, "k") as client:
        gauge = Gauge(client.url)
        try:
            async with asyncio.timeout(10):
                await run.go(client, service.endpoint, gauge)
        finally:
            if waiting is not None:
                waiting.cancel()
            await gauge.close()
    return run


def partial(text: str, offset_ms: int) -> str:
    return json.dumps({"text": text, "is_final": False, "offset_ms": offset_ms, "stability": 0.5})


def final(text: str, offset_ms: int) -> str:
    words = [[word, 0, 100, 0.9] for word in text.split()]
    return json.dumps({"text": text, "is_final": True, "offset_ms": offset_ms, "words": words})


async def speak(service: FakeService, connection: ServerConnection) -> None:
    await service.hear(connection)
    await connection.send(LISTENING)
    await connection.recv()
    for said in (partial("a b", 20), partial("a c", 20), partial("a c d", 20)):
        await connection.send(said)
    await service.hear(connection)
    await connection.send(final("a c e", 300))
    await connection.send(STOPPED)


async def test_every_session_is_heard_to_its_end() -> None:
    run = await run_against(speak)
    figures = figures_of(run)
    assert (figures.completed, figures.refused, figures.failed) == (3, 0, 0)
    assert {heard.sent_s for heard in run.heard} == {0.3}
    for spread in (figures.connect_ms, figures.listening_ms, figures.first_partial_ms, figures.final_ms):
        assert spread is not None
        assert spread.count == 3


async def test_words_count_as_unstable_from_the_first_that_changed() -> None:
    run = await run_against(speak)
    # "b" became "c", and "d" became "e" in the final.
    assert {(heard.unstable_words, heard.final_words) for heard in run.heard} == {(2, 3)}


async def test_lag_counts_from_when_the_frame_was_due_that_completed_the_audio() -> None:
    waited_s: list[float] = []

    async def answer_late(service: FakeService, connection: ServerConnection) -> None:
        await service.hear(connection)
        await connection.send(LISTENING)
        await connection.recv()
        first_at = time.monotonic()
        for _ in range(5):
            await connection.recv()
        # The third frame completes 60 ms and was due 60 ms before the sixth.
        waited_s.append(time.monotonic() - first_at)
        await connection.send(partial("a", 60))
        await service.hear(connection)
        await connection.send(STOPPED)

    run = await run_against(answer_late)
    assert len(run.meter.lag_s) == 3
    assert all(lag_s >= 0.06 for lag_s in run.meter.lag_s)
    # Not from when the message came: that is 0. Not from the first frame: what passed since then is 40 ms more.
    assert all(lag_s < waited + 0.04 for lag_s, waited in zip(sorted(run.meter.lag_s), sorted(waited_s), strict=True))


async def test_frames_of_different_sessions_do_not_come_at_once() -> None:
    run = await run_against(speak)
    phases = sorted({round(1000 * at) % PLAN.frame_ms for at in run.meter.frame_at})
    assert len(phases) == PLAN.sessions


async def refuse(service: FakeService, connection: ServerConnection) -> None:
    await service.hear(connection)
    await connection.send(json.dumps({"error": AtCapacity.sentence, "code": "at_capacity"}))


async def vanish(service: FakeService, connection: ServerConnection) -> None:
    await service.hear(connection)
    await connection.send(LISTENING)
    await connection.recv()
    connection.transport.abort()


async def stop_early(service: FakeService, connection: ServerConnection) -> None:
    await service.hear(connection)
    await connection.send(LISTENING)
    await connection.send(STOPPED)


@pytest.mark.parametrize(
    ("talk", "error", "refused"),
    [(refuse, AtCapacity, True), (vanish, Disconnected, False), (stop_early, ServiceStopping, False)],
)
async def test_sessions_that_the_service_ends_are_counted_and_end_the_run(
    talk: Talk, error: type[ScribewireError], *, refused: bool
) -> None:
    run = await run_against(talk)
    assert [type(heard.error) for heard in run.heard] == [error] * 3
    assert {heard.refused for heard in run.heard} == {refused}
    figures: Figures = figures_of(run)
    assert (figures.completed, figures.refused) == (0, 3 * refused)


async def test_an_interrupted_run_stops_its_sessions_in_order() -> None:
    long = Plan(sessions=2, seconds=60, warm_up_s=0, frame_ms=20)
    run = await run_against(speak, long, interrupt=True)
    figures = figures_of(run)
    assert figures.interrupted
    assert (figures.completed, figures.failed) == (2, 0)
    assert all(0 < heard.sent_s < 5 for heard in run.heard)


async def test_an_address_where_nobody_answers_is_said_of_every_session() -> None:
    run = Run(PLAN, REEL)
    gauge = Gauge("http://127.0.0.1:9")
    async with Client("http://127.0.0.1:9", "k") as client:
        await run.go(client, "ws://127.0.0.1:9/v2/realtime", gauge)
    await gauge.close()
    assert [type(heard.error) for heard in run.heard] == [Unreachable] * 3
