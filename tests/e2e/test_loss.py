"""Losing a worker, a lane or a client costs a delay, never a word."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from service import Service
from tests.e2e.conftest import Clip, ready
from wire import Talk, Transcript, transcribe

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service of our own: we kill its workers."""
    with ready(tmp_path_factory.mktemp("service")) as service:
        yield service


def words_of(heard: Transcript) -> list[list[Any]]:
    """Give every word with its times and confidence, in order."""
    return [word for final in heard.finals for word in final["words"]]


async def kill_while_speaking(service: Service, pcm: bytes, kill: str) -> Transcript:
    """Speak, and kill -9 in the middle of an utterance, once words of it were heard."""
    talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
    await talk.start()
    speaking = asyncio.create_task(talk.send(pcm, pace=1.0))
    await talk.until("is_final", False)
    await asyncio.sleep(0.8)
    victims = service.workers() if kill == "worker" else [lane for w in service.workers() for lane in deepest(w)]
    assert victims
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    await speaking
    return await talk.stop()


def deepest(worker: Any) -> list[Any]:
    """Give the lanes: the children of the nursery."""
    return [lane for nursery in worker.children() for lane in nursery.children()]


@pytest.mark.parametrize("kill", ["worker", "lanes"])
async def test_killing_the_only_worker_in_mid_utterance_changes_no_final(
    service: Service, clips: dict[str, Clip], kill: str
) -> None:
    pcm = clips["rms-pauses"].pcm
    undisturbed = await transcribe(service.socket_url + "/v2/realtime", service.key, pcm, pace=4)
    disturbed = await kill_while_speaking(service, pcm, kill)
    assert words_of(disturbed) == words_of(undisturbed)
    assert disturbed.states == ["listening", "stopped"]
    assert not disturbed.errors
    reports = service.call("GET", "/api/v4/sessions").json()
    assert any(report["streams_lost"] for report in flatten(reports))


def flatten(answer: Any) -> list[dict[str, Any]]:
    """Give the rows of a listing, whatever it is wrapped in."""
    rows: list[dict[str, Any]] = answer if isinstance(answer, list) else answer["sessions"]
    return rows


async def test_a_gateway_that_is_killed_leaves_no_process_behind(tmp_path: Any, clips: dict[str, Clip]) -> None:
    from service import start

    service = await start(tmp_path, {})
    await asyncio.to_thread(service.initialize)
    talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
    await talk.start()
    speaking = asyncio.create_task(talk.send(clips["rms-pauses"].pcm))
    await talk.until("is_final", False)
    family = service.family()
    assert len(family) >= 3  # a worker, its nursery, a lane
    service.process.kill()
    service.process.wait()
    with pytest.raises(Exception):  # noqa: B017, PT011 - the socket breaks under the speaker, however that is told
        await speaking
    for _ in range(20):
        if not any(process.is_running() and process.status() != "zombie" for process in family):
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail(f"still there 2 s after the gateway was killed: {family}")
