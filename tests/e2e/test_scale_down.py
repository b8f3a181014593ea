"""Fewer workers are wanted while sessions are live: one drains, its sessions move, and no client sees it."""

from __future__ import annotations

import asyncio
import time

import pytest

from scribewire.tones import VOCABULARY, say
from service import Service, running
from wire import Talk

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SETTINGS = {
    "ENGINES__EN__FAST": "scripted:words,cost=0.005",
    "GATE__DETECTOR": "energy",
    "GATE__HANGOVER_MS": "200",
    "WORKER__SLOTS": "4",
    "AUTOSCALING__MAX_WORKERS": "2",
    "AUTOSCALING__COOLDOWN_S": "1",
}
WORDS = [*VOCABULARY, *VOCABULARY][:30]


async def until_workers(service: Service, count: int, *, within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while len(service.workers()) != count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_worker_with_live_sessions_drains_and_every_word_is_heard_once() -> None:
    async with running(SETTINGS) as service:
        await asyncio.to_thread(service.initialize)
        early = [await Talk.open(service.socket_url + "/v2/realtime", service.key) for _ in range(4)]
        await asyncio.gather(*(talk.start() for talk in early))
        await until_workers(service, 2)
        late = [await Talk.open(service.socket_url + "/v2/realtime", service.key) for _ in range(2)]
        await asyncio.gather(*(talk.start() for talk in late))
        # One session of the first worker and one of the second stay, so that neither is idle.
        for talk in (*early[1:], late[1]):
            await talk.stop()
        staying = (early[0], late[0])
        speech = say(" ".join(WORDS), gap_ms=220)
        speaking = [asyncio.create_task(talk.send(speech, frame_ms=100)) for talk in staying]
        await until_workers(service, 1)
        assert not any(task.done() for task in speaking)
        await asyncio.gather(*speaking)
        for talk in staying:
            heard = await talk.stop()
            assert [word[0] for final in heard.finals for word in final["words"]] == WORDS
            assert (heard.states, heard.errors) == (["listening", "stopped"], [])
        reports = service.call("GET", "/api/v4/sessions").json()
        assert sorted(report["streams"] for report in reports) == [1, 1, 1, 1, 1, 2]
        assert sum(report["streams_lost"] for report in reports) == 0
