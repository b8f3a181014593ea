"""Threads of the worker step one engine, and its cost is seen whichever threads it computes in."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from scribewire.core.audio import WINDOW_BYTES
from scribewire.engines.base import Outcome, Setup, Stream
from scribewire.engines.scripted import ScriptedEngine
from scribewire.tones import say
from scribewire.worker.quanta import Quantum
from scribewire.worker.threads import ThreadDecoders

COST = 0.5
PCM = say("alfa")[: 10 * WINDOW_BYTES]
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


@pytest.mark.parametrize("kind", [ScriptedEngine, ComputesElsewhere])
async def test_what_decoding_costs_is_told(kind: type[ScriptedEngine]) -> None:
    decoders = ThreadDecoders(kind(Setup(f"words,cost={COST}")), "scripted", 1)
    decoder = await decoders.open()
    windows = [PCM[at : at + WINDOW_BYTES] for at in range(0, len(PCM), WINDOW_BYTES)]
    [decoded] = await decoders.decode([(decoder, Quantum(0, windows))])
    await decoders.close()

    # The last part of a frame is not decoded yet.
    assert decoded.cpu_s >= COST * AUDIO_S * 0.9
