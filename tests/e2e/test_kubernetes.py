"""A service on a fake cluster whose pods are real workers: from zero to the maximum under load, and back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from scribewire.tones import say
from service import Service, running
from tests.scalers.kube.rig import cluster, needs_openssl
from wire import Talk, transcribe

pytestmark = [pytest.mark.e2e, needs_openssl]

V2 = "/v2/realtime"
# Two slots a worker, so that a few sessions fill one. Their secret is what a gateway has to know on TCP.
WORKER = {
    "ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:words"}}),
    "GATE__DETECTOR": "energy",
    "WORKER__SLOTS": "2",
    "WORKER__SECRET": "known on both sides",
}
GATEWAY = WORKER | {
    "AUTOSCALING__MAX_WORKERS": "3",
    "AUTOSCALING__COOLDOWN_S": "1",
    "AUTOSCALING__IDLE_S": "4",
    "SESSION__SLOT_WAIT_S": "20",
}
PATCH = ("patch", "deployments/scale")
WORDS = ["one", "two", "three"]


def status_of(service: Service) -> str:
    """Ask for the status."""
    status: str = service.call("GET", "/api/v4/realtime/status").json()["status"]
    return status


def workers_of(service: Service) -> list[dict[str, Any]]:
    """Ask for the workers."""
    workers: list[dict[str, Any]] = service.call("GET", "/api/v4/fleet").json()["workers"]
    return workers


async def until(true: Callable[[], bool], *, within_s: float = 30) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def initialize_by_many(service: Service, callers: int) -> list[httpx.Response]:
    """Let many call at once."""
    headers = {"x-zoom-s2t-key": service.key}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:
        return await asyncio.gather(*(client.post("/api/v4/realtime/initialize") for _ in range(callers)))


async def test_a_fleet_on_kubernetes_goes_from_zero_to_its_maximum_and_back(tmp_path: Path) -> None:
    async with cluster(tmp_path, WORKER) as rig, running(GATEWAY | rig.settings()) as service:
        assert await asyncio.to_thread(status_of, service) == "scaled_down"
        callers = asyncio.create_task(initialize_by_many(service, 100))
        await until(lambda: status_of(service) == "starting")
        assert {answer.status_code for answer in await callers} == {200}
        assert rig.api.count(*PATCH) == 1
        assert rig.state.replicas == 1
        assert await asyncio.to_thread(status_of, service) == "ready"

        heard = await transcribe(service.socket_url + V2, service.key, say(WORDS), pace=None)
        assert heard.text == " ".join(WORDS)

        await rig.api.stop()
        talks = [await Talk.open(service.socket_url + V2, service.key) for _ in range(5)]
        for talk in talks[:2]:  # as many as there are slots
            await talk.start()
        for talk in talks[2:]:
            await talk.say(action="start")
        for talk in talks:
            await talk.send(say(WORDS), pace=None)
        await rig.api.start()

        await asyncio.gather(*(talk.until("state", "listening", within_s=20) for talk in talks))
        assert rig.state.replicas == 3
        assert await asyncio.to_thread(status_of, service) == "ready"
        transcripts = await asyncio.gather(*(talk.stop() for talk in talks))
        assert {transcript.text for transcript in transcripts} == {" ".join(WORDS)}

        await until(lambda: status_of(service) == "scaled_down")
        await until(lambda: not rig.state.pods)
        await until(lambda: workers_of(service) == [])
        assert rig.state.replicas == 0


async def test_a_worker_that_kubernetes_takes_away_loses_no_word(tmp_path: Path) -> None:
    async with cluster(tmp_path, WORKER) as rig, running(GATEWAY | rig.settings()) as service:
        await asyncio.to_thread(service.initialize)
        talk = await Talk.open(service.socket_url + V2, service.key)
        await talk.start()
        await talk.send(say(WORDS) * 2, pace=None)
        rig.controller.delete("workers-1")
        await talk.send(say(WORDS), pace=None)
        heard = await talk.stop()
        assert heard.text == " ".join(WORDS * 3)
        await until(lambda: list(rig.state.pods) == ["workers-2"])


async def test_a_missing_right_is_in_the_answer_and_why_a_pod_waits_in_the_fleet(tmp_path: Path) -> None:
    async with cluster(tmp_path) as rig, running(GATEWAY | rig.settings()) as service:
        granted = rig.api.rights["first"]
        rig.api.rights = {"first": granted - {PATCH}}
        refused = await asyncio.to_thread(service.call, "POST", "/api/v4/realtime/initialize")
        assert refused.status_code == 500
        assert refused.json() == {
            "detail": "Failed to initialize realtime service: the service account may not patch deployments/scale in "
            "namespace speech: its Role must grant that"
        }
        assert await asyncio.to_thread(status_of, service) == "scaled_down"

        rig.api.rights = {"first": granted}
        callers = asyncio.create_task(initialize_by_many(service, 1))
        await until(lambda: bool(rig.state.pods))
        unscheduled = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "no GPU is free",
        }
        rig.state.update("workers-1", conditions=[unscheduled])
        await until(lambda: [one["reason"] for one in workers_of(service)] == ["Unschedulable: no GPU is free"])
        assert await asyncio.to_thread(status_of, service) == "starting"
        waiting = {"reason": "CrashLoopBackOff"}
        crash = {"terminated": {"exitCode": 1, "reason": "Error"}}
        rig.state.update(
            "workers-1",
            containerStatuses=[
                {"name": "worker", "restartCount": 3, "state": {"waiting": waiting}, "lastState": crash}
            ],
        )
        (answer,) = await callers
        assert answer.status_code == 503
        assert answer.content == b'{"detail":"Realtime service failed to start"}'
