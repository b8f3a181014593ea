"""Print how many real-time streams of continuous speech this machine holds: the service, the bare engine, and stock."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import time
from collections.abc import Sequence
from itertools import chain
from statistics import median

import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from scoring import speech_clips
from scribewire.bench.clips import Clip, Reel
from scribewire.bench.figures import Spread, figures_of
from scribewire.bench.load import Run
from scribewire.bench.speaker import Plan
from scribewire.bench.usage import Gauge
from scribewire.client import Client
from scribewire.core.audio import WINDOW_BYTES
from scribewire.engines.base import Engine, Stream
from scribewire.engines.table import create
from service import Service, running
from wer_bare import yardstick
from wire import BYTES_PER_S

FRAME_S = 0.1
# A bare stream is ended and begun again as often as sentences end.
SEGMENT_S = 8.0
BOUND_MS = 200
# So much speech tells what PocketSphinx as it comes takes of a core.
YARDSTICK_S = 8.0
# Sessions do not begin all at once: each decodes its first half second twice.
STAGGER_S = 6.0


def speech(streams: int, seconds: float) -> list[bytes]:
    """Give continuous speech for each stream, each from a place of its own in the recordings."""
    whole = b"".join(clip.pcm() for clip in speech_clips())
    whole *= 2
    step = (len(whole) // 2 // streams) & ~1
    return [whole[at * step : at * step + int(seconds * BYTES_PER_S)] for at in range(streams)]


async def lag_of_service(service: Service, kind: str, streams: int, seconds: float) -> Spread | None:
    """Give the lag of the partials of some sessions that speak at once."""
    plan = Plan(sessions=streams, seconds=seconds, warm_up_s=STAGGER_S, frame_ms=round(1000 * FRAME_S), type=kind)
    spoken = speech(streams, plan.audio_s)
    run = Run(plan, Reel([Clip(str(place), pcm) for place, pcm in enumerate(spoken)]))
    gauge = Gauge(service.url)
    async with Client(service.url, service.key) as client:
        await run.go(client, (await client.status()).endpoint, gauge)
    await gauge.close()
    return figures_of(run).lag_ms


def decode_paced(kind: str, audio: Sequence[bytes], begin_s: float, lags: multiprocessing.Queue[list[float]]) -> None:
    """Decode some streams in this process at real-time pace, a partial after every frame."""
    engines: list[Engine] = [create(f"pocketsphinx:{kind}") for _ in audio]
    streams: list[Stream] = []
    for engine in engines:
        engine.load()
        streams.append(engine.open())
    begin_s = max(begin_s, time.monotonic())
    found = []
    for stream in streams:
        stream.begin(0)
    frame_bytes = int(FRAME_S * BYTES_PER_S)
    for at in range(0, min(map(len, audio)) - frame_bytes, frame_bytes):
        for place, (engine, stream, pcm) in enumerate(zip(engines, streams, audio, strict=True)):
            due_s = begin_s + at / BYTES_PER_S + FRAME_S * (1 + place / len(audio))
            time.sleep(max(0.0, due_s - time.monotonic()))
            for piece in range(at, at + frame_bytes, WINDOW_BYTES):
                stream.accept(pcm[piece : min(piece + WINDOW_BYTES, at + frame_bytes)])
            engine.step([stream])
            if stream.partial():
                found.append(time.monotonic() - due_s)
            if at and at % int(SEGMENT_S * BYTES_PER_S) == 0:
                stream.finish()
                stream.begin(0)
    lags.put(found)


def lag_of_bare(kind: str, streams: int, seconds: float) -> Spread | None:
    """Give the lag of every partial of bare decoders, in as many processes as there are cores."""
    cores = os.cpu_count() or 1
    audio = speech(streams, seconds)
    lags: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
    begin_s = time.monotonic() + 1.0 * streams / cores
    processes = [
        multiprocessing.Process(target=decode_paced, args=(kind, audio[core::cores], begin_s, lags))
        for core in range(min(cores, streams))
    ]
    for process in processes:
        process.start()
    found = Spread.of(chain.from_iterable(lags.get(timeout=20 * seconds) for _ in processes))
    for process in processes:
        process.join()
    return found


def cores_of_stock() -> float:
    """Give how many cores a stream of PocketSphinx as it comes takes here and now, while every core decodes one."""
    cores = os.cpu_count() or 1
    with multiprocessing.Pool(cores) as pool:
        return median(pool.map(yardstick, [[pcm] for pcm in speech(cores, YARDSTICK_S)], chunksize=1))


async def main() -> None:
    """Measure growing numbers of streams, both in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--streams", type=int, nargs="+", default=[4, 6, 8, 12, 16, 20, 24], help="numbers of streams to try"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of speech of each stream (default 20)")
    parser.add_argument("--type", choices=("fast", "quality"), default="fast")
    parser.add_argument("--workers", type=int, default=1, help="workers that share the cores (default 1)")
    options = parser.parse_args()
    table = Table(title=f"{options.type}, continuous speech, lag of partials in ms")
    for column in ("streams", "service p50", "p95", "p99", "bare p50", "p95", "p99", "stock, cores"):
        table.add_column(column, justify="right")
    largest, stock = {"service": 0, "bare engine": 0}, []
    # Admission is off: the question is what the machine holds, not what the service would promise.
    settings = {
        "WORKER__SLOTS": "100",
        "WORKER__CORES": str((os.cpu_count() or 1) / options.workers),
        "AUTOSCALING__MIN_WORKERS": str(options.workers),
        "AUTOSCALING__MAX_WORKERS": str(options.workers),
    }
    with Progress(transient=True) as progress:
        for streams in progress.track(sorted(options.streams), description="measuring"):
            async with running(settings) as service:
                await asyncio.to_thread(service.initialize)
                await asyncio.sleep(3.0)
                ours = await lag_of_service(service, options.type, streams, options.seconds)
            bare = await asyncio.to_thread(lag_of_bare, options.type, streams, options.seconds)
            stock.append(await asyncio.to_thread(cores_of_stock))
            row = []
            for name, lag in (("service", ours), ("bare engine", bare)):
                row += [f"{lag.p50:.0f}", f"{lag.p95:.0f}", f"{lag.p99:.0f}"] if lag else ["-"] * 3
                if lag and lag.p95 <= BOUND_MS:
                    largest[name] = streams
            table.add_row(str(streams), *row, f"{stock[-1]:.3f}")
            if streams not in largest.values():
                break
    Console().print(table)
    print(f"largest with p95 within {BOUND_MS} ms: service {largest['service']}, bare engine {largest['bare engine']}")
    fit = (os.cpu_count() or 1) / median(stock)
    times = {name: f"{streams / fit:.2f} times" for name, streams in largest.items()}
    print(f"a stream of PocketSphinx as it comes took {median(stock):.3f} of a core: {fit:.1f} fill the machine;")
    print(f"the service held {times['service']} as many, the bare engine {times['bare engine']}")


if __name__ == "__main__":
    uvloop.run(main())
