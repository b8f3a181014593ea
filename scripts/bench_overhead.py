#!/usr/bin/env python3
"""Print what the service costs on top of each engine that can be loaded here: CPU of both on the same sessions.

The bare loop is gate and engine in one process, window by window, as fast as it goes. Where models cannot be
had, tiny ones are written that hear tones: they cost next to nothing, so that the rest of the cost stands out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from scribewire.bench.clips import Clip, Reel
from scribewire.bench.figures import figures_of
from scribewire.bench.load import Run
from scribewire.bench.speaker import Plan
from scribewire.bench.usage import Gauge
from scribewire.client import Client
from scribewire.cores import usable_cores
from scribewire.engines.gate import create_gate
from scribewire.engines.table import create
from scribewire.settings import GateSettings
from scribewire.tones import VOCABULARY, say, silence
from service import running
from wer_bare import recognise
from wire import BYTES_PER_S

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.speech import clips
from tests.tiny import sherpa, vosk, whisper

PAUSE_MS = 900
WORDS = 8
# The neural gate takes no tone for speech.
GATE = GateSettings(detector="energy")


@dataclass(frozen=True, slots=True)
class Case:
    """An engine, and what is said to it for ever."""

    name: str
    choice: str
    said: Sequence[bytes]


def cases(folder: Path) -> Iterator[Case]:
    """Give the engines, with their models in `folder`."""
    tones = [
        say(words) + silence(PAUSE_MS)
        for words in (VOCABULARY[at : at + WORDS] for at in range(0, len(VOCABULARY), WORDS))
    ]
    yield Case("scripted", "scripted:words", tones)
    for kind, write in (*sherpa.WRITERS.items(), ("vosk", vosk.write), ("whisper", whisper.write)):
        engine = kind if kind in ("vosk", "whisper") else "sherpa"
        (model := folder / kind).mkdir()
        yield Case(engine if engine == kind else f"{engine} {kind}", f"{engine}:{write(model)}", tones)
    spoken = [clip.pcm() + silence(PAUSE_MS) for clip in clips().values() if clip.text]
    for profile in ("fast", "quality"):
        yield Case(f"pocketsphinx {profile}", f"pocketsphinx:{profile}", spoken)


def audio(said: Sequence[bytes], place: int, seconds: float) -> bytes:
    """Give what one session says, from a place of its own on."""
    wanted = int(seconds * BYTES_PER_S) & ~1
    pcm = bytearray()
    for piece in islice(cycle(said), place, None):
        pcm += piece
        if len(pcm) >= wanted:
            return bytes(pcm[:wanted])
    raise AssertionError("nothing is said")


def cost_of_bare(choice: str, sessions: Sequence[bytes]) -> float:
    """Give CPU seconds of gate and engine for each second of audio."""
    gate, engine = create_gate(GATE), create(choice)
    engine.load()
    recognise(gate, engine, sessions[0][: 2 * BYTES_PER_S])  # what is made at first use
    began = time.process_time()
    for pcm in sessions:
        recognise(gate, engine, pcm)
    spent_s = time.process_time() - began
    engine.close()
    return spent_s / (sum(map(len, sessions)) / BYTES_PER_S)


async def cost_of_service(choice: str, sessions: Sequence[bytes], plan: Plan) -> tuple[float, float, float]:
    """Give CPU seconds of workers and gateway for each second of a session, and the p95 lag of partials in ms."""
    settings = {
        "ENGINES__LANGUAGES": json.dumps({"en": {"fast": choice}}),
        "GATE__DETECTOR": GATE.detector,
        "WORKER__SLOTS": "100",
        "WORKER__CORES": str(usable_cores()),
        "AUTOSCALING__MAX_WORKERS": "1",
    }
    run = Run(plan, Reel([Clip(str(place), pcm) for place, pcm in enumerate(sessions)]))
    async with running(settings) as service:
        await asyncio.to_thread(service.initialize)
        gauge = Gauge(service.url)
        async with Client(service.url, service.key) as client:
            await run.go(client, (await client.status()).endpoint, gauge)
        await gauge.close()
    figures = figures_of(run)
    if figures.completed < plan.sessions or figures.gateway is None or figures.lag_ms is None:
        raise SystemExit(f"{choice}: {figures.completed} of {plan.sessions} sessions came through.")
    worker_cores = sum(cost.cores for cost in figures.workers.values())
    return worker_cores / plan.sessions, figures.gateway.cores / plan.sessions, figures.lag_ms.p95


async def main() -> None:
    """Measure engine after engine, bare and served, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=6, help="sessions at once (default 6)")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds with all of them live (default 10)")
    asked = parser.parse_args()
    plan = Plan(sessions=asked.sessions, seconds=asked.seconds, warm_up_s=4.0, frame_ms=100)
    table = Table(title=f"CPU in ms for each second of a session, {asked.sessions} at once, partials and finals")
    table.add_column("engine", no_wrap=True)
    for column in ("bare", "workers", "gateway", "on top", "p95 lag, ms"):
        table.add_column(column, justify="right", no_wrap=True)
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        found = list(cases(Path(folder)))
        for case in progress.track(found, description="measuring"):
            sessions = [audio(case.said, place, plan.audio_s) for place in range(plan.sessions)]
            bare = await asyncio.to_thread(cost_of_bare, case.choice, sessions)
            workers, gateway, lag_ms = await cost_of_service(case.choice, sessions, plan)
            costs = (f"{1000 * cost:.1f}" for cost in (bare, workers, gateway, workers + gateway - bare))
            table.add_row(case.name, *costs, f"{lag_ms:.0f}")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
