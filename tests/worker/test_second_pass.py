"""Each final is heard once more, within a bound, by real workers; a pass that fails or is late takes nothing away."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from scribewire.core.audio import WINDOW_BYTES
from scribewire.engines.base import PLAIN, Setup
from scribewire.engines.scripted import ScriptedEngine
from scribewire.errors import AtCapacity, EngineMissing
from scribewire.frames import FinalResult, Finished, Frame, Load, Opened, PartialResult, Refused
from scribewire.settings import EnginesSettings, GateSettings, LanguageSettings, Settings
from scribewire.tones import say, silence
from scribewire.worker.quanta import Decoded
from scribewire.worker.second_pass import Pass, SecondPasses
from scribewire.worker.threads import ThreadDecoders
from tests.worker.gateway import WAIT_S, Gateway, WorkerProcess, connect_ready, start_worker

pytestmark = pytest.mark.e2e

SPOKEN = say("alfa bravo") + silence(700) + say("charlie")


class Starter:
    """Starts workers whose finals `bands` hears again, and ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[WorkerProcess] = []

    async def __call__(self, first: str = "words", second: str = "bands", *, wait_s: float = 5.0) -> Gateway:
        chosen = LanguageSettings(fast=f"scripted:{first}", second_pass=f"scripted:{second}")
        engines = EnginesSettings(languages={"en": chosen}, second_pass_wait_s=wait_s)
        settings = Settings(engines=engines, gate=GateSettings(detector="energy"))
        self._started.append(start_worker(self._folder, settings))
        return await connect_ready(self._started[-1])

    def close(self) -> None:
        for worker in self._started:
            worker.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    starter.close()


async def open_loaded(gateway: Gateway) -> Opened | Refused:
    """Open streams until the second pass is loaded, and give the answer."""
    for number in count(1):
        gateway.open(number)
        answer = await gateway.wait(Frame, lambda frame: isinstance(frame, Opened | Refused), since=len(gateway.heard))
        assert isinstance(answer, Opened | Refused)
        if isinstance(answer, Opened) or answer.code != AtCapacity.code:
            return answer
    raise AssertionError("unreachable")


async def transcribe(gateway: Gateway) -> list[str]:
    """Give the text of each final."""
    number = (await open_loaded(gateway)).stream
    gateway.feed(number, SPOKEN)
    gateway.finish(number)
    await gateway.wait(Finished)
    return [" ".join(word[0] for word in final.words) for final in gateway.of(number, FinalResult)]


@pytest.mark.parametrize("first", ["words", "words,gil=hold"])
@pytest.mark.parametrize("second", ["bands", "bands,gil=hold"])
async def test_the_second_pass_has_the_last_word(start: Starter, first: str, second: str) -> None:
    gateway = await start(first, second)
    assert await transcribe(gateway) == ["band0 band1", "band2"]
    partials = [frame.text for frame in gateway.heard if isinstance(frame, PartialResult)]
    assert partials
    assert not any("band" in text for text in partials)
    finals = [frame for frame in gateway.heard if isinstance(frame, FinalResult)]
    assert [word[1] for final in finals for word in final.words] == sorted(w[1] for f in finals for w in f.words)
    gateway.close()


async def test_a_second_pass_that_is_late_leaves_the_final_as_it_is(start: Starter) -> None:
    gateway = await start(second="bands,cost=10", wait_s=0.1)
    began = time.monotonic()
    assert await transcribe(gateway) == ["alfa bravo", "charlie"]
    assert time.monotonic() - began < 15
    gateway.close()


async def test_a_second_pass_that_hears_nothing_takes_nothing_away(start: Starter) -> None:
    gateway = await start(second="null")
    assert await transcribe(gateway) == ["alfa bravo", "charlie"]
    gateway.close()


async def test_a_second_pass_that_is_not_there_is_told(start: Starter) -> None:
    gateway = await start(second="no-such-form")
    refused = await open_loaded(gateway)
    assert isinstance(refused, Refused)
    assert (refused.code, "no-such-form" in refused.sentence) == (EngineMissing.code, True)
    gateway.close()


async def test_what_heard_a_final_first_does_not_hear_it_again(start: Starter) -> None:
    cost = 1.0
    gateway = await start(f"words,cost={cost},gil=hold", f"words,cost={cost},gil=hold", wait_s=60.0)
    before = await gateway.wait(Load, since=len(gateway.heard))
    assert await transcribe(gateway) == ["alfa bravo", "charlie"]
    after = await gateway.wait(Load, since=len(gateway.heard))
    # A stream is worth what it costs once, and costs that; hearing both segments again would be as much once more.
    assert before.rtf < 1.5 * cost
    assert after.cpu_s - before.cpu_s < 1.3 * cost * len(SPOKEN) / 32_000
    gateway.close()


class Account:
    """Takes no account; lives as long as the pass that holds it."""

    def __call__(self, cpu_s: float, audio_s: float) -> None:
        pass


@pytest.mark.parametrize("wait_s", [0.01, 3600.0])
async def test_a_pass_that_is_settled_is_held_by_nobody(wait_s: float) -> None:
    passes = SecondPasses(wait_s)
    settled = asyncio.Event()
    account = Account()
    decoders = ThreadDecoders(ScriptedEngine(Setup("bands")), "scripted", 1)
    passes.offer(
        Pass(
            decoders=decoders,
            options=PLAIN,
            first_sample=0,
            windows=(bytes(WINDOW_BYTES),),
            first=Decoded(0.0),
            settle=lambda decoded: settled.set(),
            account=account,
            wanted=lambda: True,
        )
    )
    held = weakref.ref(account)
    del account
    # With the short bound nobody comes to it, as when the decoders are busy; with the long one it is decoded.
    running = asyncio.create_task(passes.run()) if wait_s > 1 else None
    async with asyncio.timeout(WAIT_S):
        await settled.wait()
    if running is not None:
        running.cancel()
        await asyncio.wait([running])
    gc.collect()
    assert held() is None
    await decoders.close()
