"""Threads of the worker step one engine, and its cost is seen whichever threads it computes in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from scribewire.core.audio import WINDOW_BYTES
from scribewire.engines.base import PLAIN, Options, Outcome, Setup, Stream
from scribewire.engines.scripted import ScriptedEngine, ScriptedStream
from scribewire.errors import EngineFailed
from scribewire.tones import say
from scribewire.worker import threads
from scribewire.worker.quanta import Quantum
from scribewire.worker.threads import ThreadDecoders

COST = 0.5
WAIT_S = 20.0
PCM = say("alfa")[: 10 * WINDOW_BYTES]
WINDOWS = [PCM[at : at + WINDOW_BYTES] for at in range(0, len(PCM), WINDOW_BYTES)]
AUDIO_S = len(PCM) / 32_000


class ComputesElsewhere(ScriptedEngine):
    """Decodes in a thread of its own."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.traits = replace(self.traits, own_threads=True)

    def step(self, streams: Sequence[Stream]) -> list[Outcome]:
        thread = threading.Thread(target=super().step, args=(streams,))
        thread.start()
        thread.join()
        return [Outcome.ON] * len(streams)


class LoadsMoreForVocabulary(ScriptedEngine):
    """Opens no stream that expects words before `loaded` is set."""

    loaded = threading.Event()

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> ScriptedStream:
        if options.vocabulary:
            self.loaded.wait()
        return super().open(resume, options)


@pytest.mark.parametrize("kind", [ScriptedEngine, ComputesElsewhere])
async def test_what_decoding_costs_is_told(kind: type[ScriptedEngine]) -> None:
    decoders = ThreadDecoders(kind(Setup(f"words,cost={COST}")), "scripted", 1)
    decoder = await decoders.open()
    [decoded] = await decoders.decode([(decoder, Quantum(0, WINDOWS))])
    await decoders.close()

    # The last part of a frame is not decoded yet.
    assert decoded.cpu_s >= COST * AUDIO_S * 0.9


async def test_an_engine_that_opens_slowly_holds_up_nobody_else_and_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "OPEN_WAIT_S", 60)
    decoders = ThreadDecoders(LoadsMoreForVocabulary(Setup("words")), "scripted", 1)
    expecting = asyncio.create_task(decoders.open(options=Options("en", ("alfa",))))
    try:
        async with asyncio.timeout(WAIT_S):
            decoder = await decoders.open()
            [decoded] = await decoders.decode([(decoder, Quantum(0, WINDOWS, finish=True))])
        assert decoded.words is not None
        assert not expecting.done()
        monkeypatch.setattr(threads, "OPEN_WAIT_S", 0.05)
        with pytest.raises(EngineFailed, match="opened no stream in time"):
            await decoders.open(options=Options("en", ("alfa",)))
    finally:
        LoadsMoreForVocabulary.loaded.set()
    (await expecting).close()
    await decoders.close()
