"""Print whether one worker holds most of the streams that its cores could decode, with an engine of a known cost.

The scripted engine takes a fixed share of a core for each stream and lets go of the GIL, as native engines do; with
admission and the neural gate off, what is missing from cores ÷ RTF is the service's own cost, and the generator's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from scribewire.core.audio import WINDOW_BYTES
from scribewire.engines.base import Setup
from scribewire.engines.scripted import ScriptedEngine
from scribewire.tones import VOCABULARY, say
from scribewire.worker.scheduler import QUANTUM_WINDOWS
from service import Service, running
from wire import BYTES_PER_S

BOUND_MS = 500
BARE_S = 4.0


def bare_streams(model: str, threads: int) -> float:
    """Give how many real-time streams the bare engine decodes flat out, in as many threads, as a worker grants them."""
    engine = ScriptedEngine(Setup(model=model))
    pcm = say(VOCABULARY)
    quantum_bytes = QUANTUM_WINDOWS * WINDOW_BYTES
    decoded = [0] * threads
    end = time.monotonic() + BARE_S

    def decode(thread: int) -> None:
        streams = [engine.open() for _ in range(engine.traits.batch)]
        while time.monotonic() < end:
            for stream in streams:
                stream.begin(0)
            for at in range(0, len(pcm) - quantum_bytes, quantum_bytes):
                for stream in streams:
                    for piece in range(at, at + quantum_bytes, WINDOW_BYTES):
                        stream.accept(pcm[piece : piece + WINDOW_BYTES])
                engine.step(streams)
                decoded[thread] += quantum_bytes * len(streams)
                if time.monotonic() >= end:
                    return

    running_threads = [threading.Thread(target=decode, args=(thread,)) for thread in range(threads)]
    for thread in running_threads:
        thread.start()
    for thread in running_threads:
        thread.join()
    return sum(decoded) / BYTES_PER_S / BARE_S


async def load(service: Service, sessions: int, seconds: float) -> dict[str, Any]:
    """Run `scribewire bench`, which prints its report, and give its figures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "scribewire", "bench", "--tones", "--url", service.url, "--key", service.key),
            *("--sessions", str(sessions), "--seconds", str(seconds), "--json", str(file)),
        )
        await process.wait()
        figures: dict[str, Any] = json.loads(file.read_text())["figures"]
        return figures


async def main() -> None:
    """Measure the bare engine and the service, and say whether it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cost", type=float, default=0.05, help="the engine's RTF (default 0.05)")
    parser.add_argument("--cores", type=int, default=2, help="decoding threads of the worker (default 2)")
    parser.add_argument("--share", type=float, default=0.8, help="of the ideal number of streams (default 0.8)")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds with all of them live (default 20)")
    parser.add_argument("--detector", choices=("energy", "none", "silero"), default="energy")
    asked = parser.parse_args()
    model = f"words,cost={asked.cost}"
    ideal = asked.cores / asked.cost
    sessions = round(asked.share * ideal)
    print(f"ideal {ideal:.0f} streams; the bare engine decodes {bare_streams(model, asked.cores):.1f} of them flat out")
    settings = {
        "ENGINES__LANGUAGES": json.dumps({"en": {"fast": f"scripted:{model}"}}),
        "GATE__DETECTOR": asked.detector,
        "WORKER__CORES": str(asked.cores),
        "WORKER__SLOTS": "100000",
        "AUTOSCALING__MAX_WORKERS": "1",
    }
    async with running(settings) as service:
        figures = await load(service, sessions, asked.seconds)
    lag = figures["lag_ms"]
    held = figures["completed"] == sessions and lag is not None and lag["p95"] < BOUND_MS
    verdict = "held" if held and figures["trusted"] else "MISSED"
    print(f"{sessions} streams, {asked.share:.0%} of the ideal, with a p95 lag under {BOUND_MS} ms: {verdict}")


if __name__ == "__main__":
    asyncio.run(main())
