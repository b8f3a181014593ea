"""The client's durable sessions against real services: killed gateways and cut sockets cost a delay, never a word."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scribewire.client import Client, Event, Final, Partial, Reconnected
from scribewire.tones import say, silence
from service import Service, start
from tests.e2e.conftest import Clip, end
from tests.e2e.cutting import cutting

pytestmark = pytest.mark.e2e

BYTES_PER_S = 32_000
PACE = 2.0
SCRIPTED = {
    "ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:words"}}),
    "GATE__DETECTOR": "energy",
}
SENTENCES = ("alfa bravo charlie", "delta echo", "foxtrot golf hotel india", "juliett", "kilo lima mike november oscar")
TONES = b"".join(say(sentence) + silence(700) for sentence in SENTENCES)


async def spoken(pcm: bytes, pace: float) -> AsyncIterator[bytes]:
    """Give audio as it is spoken, `pace` times as fast."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for at in range(0, len(pcm), 3200):
        await asyncio.sleep(began + at / BYTES_PER_S / pace - loop.time())
        yield pcm[at : at + 3200]


@dataclass
class Heard:
    """All events of a session, as they come."""

    events: list[Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def finals(self) -> list[Final]:
        return [event for event in self.events if isinstance(event, Final)]

    @property
    def reconnections(self) -> list[Reconnected]:
        return [event for event in self.events if isinstance(event, Reconnected)]

    @property
    def text(self) -> str:
        return " ".join(final.text for final in self.finals)

    async def until(self, holds: Callable[[Heard], bool]) -> None:
        """Wait for something to be heard."""
        async with asyncio.timeout(30):
            while not holds(self):
                self.changed.clear()
                await self.changed.wait()


async def hear(url: str, key: str, pcm: bytes) -> Heard:
    """Hold one session undisturbed."""
    async with Client(url, key) as client:
        return Heard([event async for event in client.transcribe(spoken(pcm, 8.0))])


async def hear_disturbed(
    url: str, key: str, pcm: bytes, disturb: Callable[[Heard], Coroutine[Any, Any, None]]
) -> Heard:
    """Hold one session, and disturb it meanwhile."""
    heard = Heard()
    disturbing = asyncio.create_task(disturb(heard))
    async with Client(url, key) as client:
        async for event in client.transcribe(spoken(pcm, PACE)):
            heard.events.append(event)
            heard.changed.set()
    await disturbing
    return heard


def in_mid_sentence(heard: Heard) -> bool:
    """Say whether a sentence is begun that is not the first."""
    return len(heard.finals) >= 2 and isinstance(heard.events[-1], Partial)


@pytest.mark.parametrize("engine", ["scripted", pytest.param("pocketsphinx", marks=pytest.mark.long)])
async def test_a_gateway_killed_in_mid_sentence_and_started_again_costs_no_word(
    tmp_path: Path, clips: dict[str, Clip], engine: str
) -> None:
    settings = SCRIPTED if engine == "scripted" else {}
    pcm = TONES if engine == "scripted" else clips["rms-pauses"].pcm
    services = [await start(tmp_path, settings)]
    url, key = services[0].url, services[0].key

    async def kill(heard: Heard) -> None:
        await heard.until(in_mid_sentence)
        services[0].process.kill()
        services[0].process.wait()
        services.append(await start(tmp_path, settings, port=urlsplit(url).port or 0))

    try:
        await asyncio.to_thread(services[0].initialize)
        undisturbed = await hear(url, key, pcm)
        disturbed = await hear_disturbed(url, key, pcm, kill)
    finally:
        for service in services:
            end(service)
    assert len(disturbed.reconnections) == 1
    assert undisturbed.text
    assert disturbed.text == undisturbed.text
    if engine == "scripted":
        assert disturbed.text == " ".join(SENTENCES)
        assert disturbed.finals == undisturbed.finals


async def cut_ten_times(service: Service, pcm: bytes) -> tuple[Heard, Heard]:
    """Hold a session undisturbed, and one whose socket breaks at ten places."""
    async with cutting(service.url) as proxy:

        async def cut(_: Heard) -> None:
            chance = random.Random(11)
            duration_s = len(pcm) / BYTES_PER_S / PACE
            loop = asyncio.get_running_loop()
            began = loop.time()
            for at in sorted(chance.uniform(0.2, duration_s) for _ in range(10)):
                await asyncio.sleep(began + at - loop.time())
                proxy.cut()

        undisturbed = await hear(service.url, service.key, pcm)
        return undisturbed, await hear_disturbed(proxy.url, service.key, pcm, cut)


@pytest.mark.long
async def test_ten_cuts_in_one_clip_change_no_word(service: Service, clips: dict[str, Clip]) -> None:
    undisturbed, cut = await cut_ten_times(service, clips["rms-pauses"].pcm)
    assert undisturbed.text
    assert cut.text == undisturbed.text
    assert len(cut.reconnections) >= 3


async def test_ten_cuts_change_no_word_and_no_time_of_a_recogniser_that_is_exact(tmp_path: Path) -> None:
    service = await start(tmp_path, SCRIPTED)
    try:
        await asyncio.to_thread(service.initialize)
        undisturbed, cut = await cut_ten_times(service, TONES)
    finally:
        end(service)
    assert undisturbed.text == " ".join(SENTENCES)
    assert cut.finals == undisturbed.finals
    assert len(cut.reconnections) >= 3
