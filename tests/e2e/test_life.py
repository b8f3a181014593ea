"""The life of a service: cold start, scaling, drain, and what it leaves in its logs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from scribewire.tones import say
from service import Service, running
from tests.e2e.conftest import Clip
from tests.e2e.words import share_right
from wire import Talk, transcribe

pytestmark = pytest.mark.e2e

V2 = "/v2/realtime"
# Words that are a function of the audio alone, at no cost; two slots a worker, so that a few sessions fill one.
SCRIPTED = {
    "ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:words"}}),
    "GATE__DETECTOR": "energy",
    "WORKER__SLOTS": "2",
    "AUTOSCALING__MAX_WORKERS": "2",
}


def status_of(service: Service) -> str:
    """Ask for the status."""
    status: str = service.call("GET", "/api/v4/realtime/status").json()["status"]
    return status


async def until_status(service: Service, wanted: str, *, within_s: float = 20) -> None:
    """Wait for a status."""
    deadline = time.monotonic() + within_s
    while (status := status_of(service)) != wanted:
        assert time.monotonic() < deadline, f"still {status}, not {wanted}"
        await asyncio.sleep(0.1)


async def test_a_session_is_told_that_the_service_is_scaled_down_until_a_hundred_callers_share_one_start() -> None:
    async with running(SCRIPTED) as service:
        assert status_of(service) == "scaled_down"
        talk = await Talk.open(service.socket_url + V2, service.key)
        await talk.say(action="start")
        heard = await talk.ended()
        assert heard.errors[0]["code"] == "scaled_down"
        assert heard.errors[0]["error"] == "Realtime service is scaled down. Call /initialize to start it."
        assert heard.close_code == 1013
        assert status_of(service) == "scaled_down"
        headers = {"x-zoom-s2t-key": service.key}
        async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:
            answers = await asyncio.gather(*(client.post("/api/v4/realtime/initialize") for _ in range(100)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(service.workers()) == 1


async def test_speech_during_a_cold_start_is_kept_and_a_stop_is_remembered(clips: dict[str, Clip]) -> None:
    async with running() as service:
        # The caller goes away at once: the start that it asked for goes on.
        with suppress(httpx.TimeoutException):
            await asyncio.to_thread(
                httpx.post,
                service.url + "/api/v4/realtime/initialize",
                headers={"x-zoom-s2t-key": service.key},
                timeout=0.05,
            )
        assert status_of(service) == "starting"
        talk = await Talk.open(service.socket_url + V2, service.key)
        await talk.say(action="start")
        await talk.send(clips["rms-train"].pcm, pace=None)
        heard = await talk.stop()
        assert heard.states == ["listening", "stopped"]
        warm = await transcribe(service.socket_url + V2, service.key, clips["rms-train"].pcm, pace=None)
        assert heard.finals == warm.finals
        assert share_right(clips["rms-train"].text, heard.text) >= 0.9
        assert status_of(service) == "ready"


async def test_workers_follow_the_load_up_and_down_and_to_zero_when_idle() -> None:
    quick = {"AUTOSCALING__COOLDOWN_S": "1", "AUTOSCALING__IDLE_S": "3"}
    async with running(SCRIPTED | quick) as service:
        await asyncio.to_thread(service.initialize)
        assert len(service.workers()) == 1
        talks = [await Talk.open(service.socket_url + V2, service.key) for _ in range(4)]
        await asyncio.gather(*(talk.start() for talk in talks))
        assert len(service.workers()) == 2
        fifth = await Talk.open(service.socket_url + V2, service.key)
        await fifth.say(action="start")
        for talk in talks:
            await talk.stop()
        await fifth.until("state", "listening")
        await fifth.stop()
        await until_status(service, "scaled_down", within_s=30)
        deadline = time.monotonic() + 10
        while service.workers():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def test_a_session_that_finds_no_slot_in_time_is_told_when_to_come_back() -> None:
    async with running(SCRIPTED | {"AUTOSCALING__MAX_WORKERS": "1", "SESSION__SLOT_WAIT_S": "1"}) as service:
        await asyncio.to_thread(service.initialize)
        talks = [await Talk.open(service.socket_url + V2, service.key) for _ in range(2)]
        await asyncio.gather(*(talk.start() for talk in talks))
        third = await Talk.open(service.socket_url + V2, service.key)
        await third.say(action="start")
        heard = await third.ended()
        assert heard.errors[0]["code"] == "at_capacity"
        assert heard.errors[0]["retry_after"] >= 1
        assert heard.close_code == 1013
        for talk in talks:
            await talk.stop()


async def test_a_worker_that_always_crashes_ends_in_the_contracts_503() -> None:
    broken = {"ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:broken"}}), "AUTOSCALING__START_WAIT_S": "5"}
    async with running(broken) as service:
        response = await asyncio.to_thread(service.call, "POST", "/api/v4/realtime/initialize")
        assert response.status_code == 503
        assert response.content == b'{"detail":"Realtime service failed to start"}'


@pytest.mark.parametrize(("number", "engine"), [(signal.SIGTERM, "pocketsphinx"), (signal.SIGINT, "scripted")])
async def test_a_signal_lets_every_live_session_end_with_its_finals(
    clips: dict[str, Clip], number: signal.Signals, engine: str
) -> None:
    scripted = engine == "scripted"
    pcm = say(["alfa", "bravo"]) if scripted else clips["rms-train"].pcm[:96_000]
    async with running(SCRIPTED if scripted else {}) as service:
        await asyncio.to_thread(service.initialize)
        talks = [await Talk.open(service.socket_url + V2, service.key) for _ in range(2)]
        for talk in talks:
            await talk.start()
        await asyncio.gather(*(talk.send(pcm, pace=2) for talk in talks))
        service.interrupt(number)
        for talk in talks:
            heard = await talk.ended()
            assert heard.finals
            assert heard.messages[-1][1] == {"state": "stopped"}
            assert heard.close_code == 1001
        assert await service.ended() == 0


async def test_a_planned_stop_is_told_ahead_and_sessions_go_on_until_then() -> None:
    async with running(SCRIPTED | {"SERVER__STOP_NOTICE_S": "2"}) as service:
        await asyncio.to_thread(service.initialize)
        talk = await Talk.open(service.socket_url + V2, service.key)
        await talk.start()
        began_at = time.time()
        service.interrupt()
        told = await talk.until("state", "shutting_down")
        assert began_at + 1 < told["at"] <= began_at + 4
        await talk.send(say(["alfa", "bravo"]) + bytes(32_000), pace=None)
        assert (await talk.until("is_final", True))["text"] == "alfa bravo"
        assert time.time() < told["at"]
        heard = await talk.ended()
        assert time.time() >= told["at"]
        assert (heard.states[-1], heard.close_code) == ("stopped", 1001)
        assert await service.ended() == 0


async def test_an_upgrade_while_the_service_stops_is_refused_and_a_second_signal_ends_it() -> None:
    # An engine that needs ten seconds for one of audio keeps the session, and so the drain, alive.
    slow = SCRIPTED | {"ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:words,cost=10"}})}
    async with running(slow | {"GATE__DETECTOR": "none"}) as service:
        await asyncio.to_thread(service.initialize)
        talk = await Talk.open(service.socket_url + V2, service.key)
        await talk.start()
        await talk.send(say(["one"]) * 8, pace=None)
        family = service.family()
        service.interrupt()
        with pytest.raises(InvalidStatus) as refusal:
            await refused_upgrade(service)
        assert refusal.value.response.status_code == 503
        assert "retry-after" in refusal.value.response.headers
        service.interrupt()
        assert await service.ended(within_s=2) != 0
        await talk.ended()
        deadline = time.monotonic() + 2
        while any(process.is_running() and process.status() != "zombie" for process in family):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def refused_upgrade(service: Service) -> None:
    """Try to connect until the signal has been taken notice of."""
    for _ in range(50):
        wire = await connect(service.socket_url + V2, additional_headers={"x-zoom-s2t-key": service.key})
        await wire.close()
        await asyncio.sleep(0.02)


async def test_a_restarted_service_resumes_its_target_and_its_keys(tmp_path: Path) -> None:
    async with running(SCRIPTED, data_dir=tmp_path) as service:
        await asyncio.to_thread(service.initialize)
        key = service.key
    async with running(SCRIPTED, data_dir=tmp_path) as service:
        assert service.key == key
        assert status_of(service) in ("starting", "ready")
        await until_status(service, "ready")


async def test_nothing_that_the_service_writes_holds_a_secret_or_a_query(tmp_path: Path) -> None:
    noisy = SCRIPTED | {"SERVER__LOG_LEVEL": "debug", "SERVER__LOG_FORMAT": "json"}
    async with running(noisy, data_dir=tmp_path) as service:
        await asyncio.to_thread(service.initialize)
        by_query = f"{service.socket_url}{V2}?token={service.key}"
        heard = await transcribe(by_query, "", say(["one", "two"]), pace=None)
        assert heard.finals
        with pytest.raises(InvalidStatus):
            await connect(by_query + "x")
        talk = await Talk.open(service.socket_url + V2)
        await talk.start(key=service.key)
        await talk.stop()
        made = service.call("POST", "/api/v4/keys", json={"name": "k", "scopes": ["realtime"]}).json()
        service.call("GET", f"/api/v4/realtime/status?token={made['key']}", key=made["key"])
    written = service.log.read_text()
    assert "session ended" in written
    assert "token" not in written
    for secret in (service.key, made["key"]):
        assert secret[4:] not in written
    assert all(json.loads(line) for line in written.splitlines())


def test_the_first_key_is_private(service: Service) -> None:
    path = service.data_dir / "admin.key"
    assert os.stat(path).st_mode & 0o777 == 0o600
