"""Workers are drained and replaced under live sessions, and no client sees it: every word once, at its time."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import psutil
import pytest

from scribewire import frames
from scribewire.tones import VOCABULARY, say
from service import Service, running
from tests.cli.run import run
from tests.gateway.doubles import ScriptedWorker
from wire import Talk, Transcript

pytestmark = pytest.mark.e2e

WORDS = 12
GAP_MS = 220
# Of one core a hundredth: that many streams fit, and a worker of another kind would not be measured here.
SETTINGS = {
    "ENGINES__EN__FAST": "scripted:words,cost=0.005",
    "GATE__DETECTOR": "energy",
    "GATE__HANGOVER_MS": "200",
    "WORKER__SLOTS": "12",
    "AUTOSCALING__MIN_WORKERS": "2",
    "AUTOSCALING__MAX_WORKERS": "2",
}


def spoken(session: int) -> list[str]:
    """Give the words of a session, each at another place of the alphabet."""
    return list(islice(cycle(VOCABULARY[session % len(VOCABULARY) :] + VOCABULARY), WORDS))


async def begin(service: Service) -> Talk:
    talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
    await talk.start()
    return talk


async def speak(talk: Talk, session: int, drained: asyncio.Event) -> tuple[Transcript, int]:
    """Speak at real-time pace, over and over until all are drained; give how often too."""
    pcm, times = say(" ".join(spoken(session)), gap_ms=GAP_MS), 0
    while not times or not drained.is_set():
        await talk.send(pcm, frame_ms=100)
        times += 1
    return await talk.stop(), times


def check(heard: Transcript, times: int, session: int, undisturbed: list[list[object]]) -> None:
    words = [word for final in heard.finals for word in final["words"]]
    assert [word[0] for word in words] == spoken(session) * times
    assert [word[1:3] for word in words[:WORDS]] == [word[1:3] for word in undisturbed]
    assert heard.states == ["listening", "stopped"]
    assert not heard.errors
    offsets = [message["offset_ms"] for _, message in heard.messages if "offset_ms" in message]
    assert offsets == sorted(offsets)


def until_gone(pids: set[int]) -> None:
    # A worker that has said farewell is a process for a moment yet.
    deadline = time.monotonic() + 10
    while left := {pid for pid in pids if psutil.pid_exists(pid)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.parametrize("sessions", [8, pytest.param(20, marks=pytest.mark.long)])
async def test_a_rolling_restart_under_live_sessions_is_seen_by_none_of_them(tmp_path: Path, sessions: int) -> None:
    async with running(SETTINGS, data_dir=tmp_path) as service:
        await asyncio.to_thread(service.initialize)
        talk = await begin(service)
        await talk.send(say(" ".join(spoken(0)), gap_ms=GAP_MS), pace=None)
        undisturbed = [word for final in (await talk.stop()).finals for word in final["words"]]
        before = {worker.pid for worker in service.workers()}
        assert len(before) == 2
        drained = asyncio.Event()
        talks = [await begin(service) for _ in range(sessions)]
        speaking = [asyncio.create_task(speak(talk, session, drained)) for session, talk in enumerate(talks)]
        for talk in talks:
            await talk.until("is_final")
        ran = await run("drain", "--all", data_dir=tmp_path)
        drained.set()
        assert (ran.code, ran.out) == (0, ""), ran.err
        await asyncio.to_thread(until_gone, before)
        for session, (heard, times) in enumerate(await asyncio.gather(*speaking)):
            check(heard, times, session, undisturbed)
        # Reports are filed a moment after their sessions.
        await until(lambda: len(service.call("GET", "/api/v4/sessions").json()) == sessions + 1)
        reports = service.call("GET", "/api/v4/sessions").json()
        assert sum(report["streams"] > 1 for report in reports) == sessions
        assert sum(report["streams_lost"] for report in reports) == 0


class ComesBackAsItWas(ScriptedWorker):
    """Ends when it is drained, and comes back as a container does: same name, same address, same number; it loads."""

    restarting: asyncio.Task[None] | None = None

    def take(self, frame: frames.Frame) -> None:
        super().take(frame)
        if isinstance(frame, frames.Drain):
            self.restarting = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        await self.stop()
        Path(self.address.removeprefix("unix:")).unlink()
        self.phase = "loading"
        await self.start()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.05)


def phases(service: Service) -> list[str]:
    return [worker["phase"] for worker in service.call("GET", "/api/v4/fleet").json()["workers"]]


def asked(service: Service) -> int:
    """Count how often the fleet was asked for."""
    counted = re.findall(r'requests_total\{.*route="/api/v4/fleet".*\} (\d+)', service.call("GET", "/metrics").text)
    return sum(map(int, counted))


async def test_a_worker_that_comes_back_with_the_number_it_had_was_drained_once_it_is_ready(tmp_path: Path) -> None:
    worker = ComesBackAsItWas("w1", tmp_path)
    await worker.start()
    elsewhere = {"SCALER__KIND": "static", "SCALER__ADDRESSES": json.dumps([worker.address])}
    async with running(elsewhere, data_dir=tmp_path / "home") as service:
        await asyncio.to_thread(service.initialize)
        draining = asyncio.create_task(run("drain", "w1", data_dir=tmp_path / "home"))
        await until(lambda: phases(service) == ["loading"])
        before = asked(service)
        await until(lambda: asked(service) >= before + 2)
        assert not draining.done()
        worker.phase = "ready"
        drained = await draining
        assert (drained.code, drained.out) == (0, ""), drained.err
    await worker.stop()


async def test_a_worker_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with running(SETTINGS, data_dir=tmp_path) as service:
        await asyncio.to_thread(service.initialize)
        ran = await run("drain", "w9", data_dir=tmp_path)
        assert (ran.code, ran.err) == (1, "error: There is no worker w9; there are: w1, w2.\n")
        assert service.call("POST", "/api/v4/fleet/workers/w9/drain").status_code == 404
