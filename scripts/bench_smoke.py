"""Print the contract's latencies, measured on a warm service over loopback, beside their bars."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.resources import files

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from scribewire.bench.figures import percentile
from service import Service, running
from wire import BYTES_PER_S, Talk, Transcript, lags_s, transcribe

SAMPLE = "sample.wav"
SILENCE_S = 2.0
# A burst lasts longer than what it is measured against: this often the sample, sent as fast as it is taken.
BURST_SAMPLES = 6
# Of a bare process, and of a service from zero workers.
STARTS = 5
# What a process must do before it can recognise anything, without any of ours.
BARE_START = """
import pocketsphinx
decoder = pocketsphinx.Decoder(fwdflat=False, maxhmmpf=3000)
decoder.start_utt()
decoder.process_raw(bytes(32000), False, False)
decoder.end_utt()
"""


def sample() -> bytes:
    """Give the bundled speech, from its first word on."""
    wav = files("scribewire.assets").joinpath(SAMPLE).read_bytes()
    return wav[wav.index(b"data") + 8 :]


async def measure_speech(service: Service) -> Transcript:
    """Hold one session of speech that begins at once and is stopped while it is being spoken."""
    return await transcribe(service.socket_url + "/v2/realtime", service.key, sample(), frame_ms=100)


async def measure_silence(service: Service) -> float:
    """Give the seconds from stop to `stopped` after silence."""
    heard = await transcribe(
        service.socket_url + "/v2/realtime", service.key, bytes(int(SILENCE_S * BYTES_PER_S)), frame_ms=100
    )
    if heard.finals or heard.partials:
        raise SystemExit(f"silence was heard as {heard.text!r}")
    return heard.find("state", "stopped") - heard.stop_sent_s


async def measure_stop(service: Service, sessions: int) -> str:
    """Give what live sessions hear when the service is told to stop."""
    talks = [await Talk.open(service.socket_url + "/v2/realtime", service.key) for _ in range(sessions)]
    for talk in talks:
        await talk.start()
    half = sample()[: 3 * BYTES_PER_S]
    await asyncio.gather(*(talk.send(half) for talk in talks))
    service.interrupt()
    heard = [await talk.ended() for talk in talks]
    whole = sum(bool(h.finals) and h.states[-1] == "stopped" and h.close_code == 1001 for h in heard)
    code = await service.ended()
    return f"{whole} of {sessions}, exit {code}"


async def measure_burst(service: Service) -> tuple[float, float]:
    """Give the p95 lag of a real-time session's partials alone, and beside a client that sends all at once."""
    url = service.socket_url + "/v2/realtime"
    alone = await transcribe(url, service.key, sample(), frame_ms=100)
    burst = asyncio.create_task(transcribe(url, service.key, BURST_SAMPLES * sample(), pace=None, frame_ms=100))
    beside = await transcribe(url, service.key, sample(), frame_ms=100)
    await burst
    p95_alone, p95_beside = (percentile(sorted(lags_s(heard, frame_s=0.1)), 0.95) for heard in (alone, beside))
    return p95_alone, p95_beside


def partials_per_s(heard: Transcript) -> tuple[float, float]:
    """Give all partials and those with another text, for each second between the first and the last of them."""
    partials = heard.partials
    span_s = (partials[-1][1]["offset_ms"] - partials[0][1]["offset_ms"]) / 1000
    texts = [message["text"] for _, message in partials]
    changed = sum(a != b for a, b in itertools.pairwise(texts))
    return (len(partials) - 1) / span_s, changed / span_s


def time_bare_start() -> float:
    """Give the seconds of a process that imports the engine, loads it and decodes one second."""
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", BARE_START], check=True, capture_output=True)
    return time.monotonic() - began_s


async def time_initialize() -> float:
    """Give the seconds that initialize took from zero, for a fresh service."""
    async with running() as service:
        began_s = time.monotonic()
        await asyncio.to_thread(service.initialize)
        return time.monotonic() - began_s


def show(rows: Sequence[tuple[str, str, str, bool]]) -> None:
    """Print the table."""
    table = Table(title="warm service, loopback, bundled speech")
    for column in ("item", "measured", "bar", ""):
        table.add_column(column)
    for item, measured, bar, held in rows:
        table.add_row(item, measured, bar, "held" if held else "MISSED")
    Console().print(table)


async def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="sessions of speech (default 5)")
    runs = parser.parse_args().runs
    with Progress(transient=True) as progress:
        task = progress.add_task("measuring", total=2 * runs + STARTS + 2)
        bare, cold = [], []
        for _ in range(STARTS):
            # In turns: a machine may be half as fast in the next minute.
            bare.append(time_bare_start())
            cold.append(await time_initialize())
            progress.advance(task)
        heard, silences = [], []
        async with running() as service:
            await asyncio.to_thread(service.initialize)
            await asyncio.sleep(1.0)
            for _ in range(runs):
                heard.append(await measure_speech(service))
                progress.advance(task)
                silences.append(await measure_silence(service))
                progress.advance(task)
            p95_alone, p95_beside = await measure_burst(service)
            progress.advance(task)
            stopped = await measure_stop(service, 4)
            progress.advance(task)
    listening = [h.find("state", "listening") - h.start_sent_s for h in heard]
    first = [h.partials[0][0] - h.first_audio_s for h in heard]
    last = [max(at for at, m in h.messages if m.get("is_final")) - h.stop_sent_s for h in heard]
    rates = [partials_per_s(h) for h in heard]
    slowest_rate, changed = min(rates)
    bare_s = statistics.median(bare)
    cold_bar_s = max(1.3 * bare_s, bare_s + 0.6)

    def seconds(values: Sequence[float]) -> str:
        return f"{statistics.median(values):.3f} s median, {max(values):.3f} s worst"

    show(
        [
            ("start → listening", seconds(listening), "≤ 0.05 s", statistics.median(listening) <= 0.05),
            ("first partial after first audio", seconds(first), "≤ 0.7 s", statistics.median(first) <= 0.7),
            ("partials a second", f"{slowest_rate:.1f} ({changed:.1f} changed)", "≥ 4", slowest_rate >= 4),
            ("last final after stop", seconds(last), "≤ 0.3 s", statistics.median(last) <= 0.3),
            ("stopped after stop on silence", seconds(silences), "≤ 0.1 s", statistics.median(silences) <= 0.1),
            (
                "p95 lag beside a burst",
                f"{p95_beside:.3f} s, alone {p95_alone:.3f} s",
                "+ 0.15 s",
                p95_beside - p95_alone <= 0.15,
            ),
            ("SIGTERM: finals, stopped, 1001", stopped, "all, exit 0", stopped == "4 of 4, exit 0"),
            (
                "initialize from zero",
                seconds(cold),
                f"≤ {cold_bar_s:.2f} s (bare process {bare_s:.2f} s)",
                statistics.median(cold) <= cold_bar_s,
            ),
        ]
    )


if __name__ == "__main__":
    asyncio.run(main())
