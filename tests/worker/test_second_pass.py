"""Each final is heard once more, within a bound, by real workers; a pass that fails or is late takes nothing away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from scribewire.errors import AtCapacity, EngineMissing
from scribewire.frames import FinalResult, Finished, Frame, Opened, PartialResult, Refused
from scribewire.settings import EnginesSettings, GateSettings, LanguageSettings, Settings
from scribewire.tones import say, silence
from tests.worker.gateway import Gateway, WorkerProcess, connect_ready, start_worker

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
