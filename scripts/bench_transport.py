"""Print what the gateway costs for each stream-second beside a bare uvicorn echo of the same frames, in one run."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from service import running

FRAME_S = 0.1
FRAME = bytes(3200)
SETTLE_S = 2.0
NULL_ENGINE = {
    "ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:null"}}),
    "GATE__DETECTOR": "none",
    "AUTOSCALING__MAX_WORKERS": "1",
    "WORKER__SLOTS": "1000",
}
ECHO = """
import sys, uvicorn
async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("bytes"):
            await send({"type": "websocket.send", "bytes": message["bytes"]})
uvicorn.run(app, port=int(sys.argv[1]), ws="websockets-sansio", loop="uvloop", lifespan="off", log_level="error",
            ws_per_message_deflate=False, ws_ping_timeout=None)
"""


async def drain(wire: ClientConnection) -> None:
    """Read and forget until the close."""
    try:
        async for _ in wire:
            pass
    except ConnectionClosed:
        pass


async def feed(wire: ClientConnection, seconds: float, *, offset_s: float) -> None:
    """Send a frame of silence every 100 ms, beginning at a place of its own in that time."""
    await asyncio.sleep(offset_s)
    due_s = time.monotonic()
    for _ in range(round(seconds / FRAME_S)):
        await wire.send(FRAME)
        due_s += FRAME_S
        await asyncio.sleep(due_s - time.monotonic())


async def cost(url: str, key: str, pid: int, *, streams: int, seconds: float) -> float:
    """Give the CPU seconds that process `pid` spends on a stream-second."""
    wires = [await connect(url, additional_headers={"x-zoom-s2t-key": key}, compression=None) for _ in range(streams)]
    readers = [asyncio.create_task(drain(wire)) for wire in wires]
    for wire in wires:
        await wire.send('{"action":"start"}')
    await asyncio.sleep(SETTLE_S)
    feeds = [
        asyncio.create_task(feed(wire, seconds + 2 * SETTLE_S, offset_s=FRAME_S * place / streams))
        for place, wire in enumerate(wires)
    ]
    await asyncio.sleep(SETTLE_S)
    process = psutil.Process(pid)
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    await asyncio.gather(*feeds)
    for wire in wires:
        await wire.close()
    await asyncio.gather(*readers)
    return (after.user + after.system - before.user - before.system) / (streams * seconds)


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[str, int]]:
    """Run a bare uvicorn echo; give its URL and pid."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", ECHO, str(port)])
    try:
        for _ in range(200):
            try:
                (await connect(f"ws://127.0.0.1:{port}/")).transport.close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        yield f"ws://127.0.0.1:{port}/", process.pid
    finally:
        process.terminate()
        process.wait()


async def main() -> None:
    """Measure both in turn, some rounds, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200, help="sessions at once (default 200)")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds measured in each round (default 10)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds (default 2)")
    options = parser.parse_args()
    table = Table(title=f"{options.streams} streams of 100 ms frames: CPU-ms for each stream-second")
    for column in ("round", "gateway", "bare echo", "ratio (aim: at most 2)"):
        table.add_column(column)
    async with running(NULL_ENGINE) as service, echo() as (echo_url, echo_pid):
        await asyncio.to_thread(service.initialize)
        load = {"streams": options.streams, "seconds": options.seconds}
        for number in range(1, options.rounds + 1):
            bare = 1000 * await cost(echo_url, "", echo_pid, **load)
            url = service.socket_url + "/v2/realtime"
            ours = 1000 * await cost(url, service.key, service.process.pid, **load)
            table.add_row(str(number), f"{ours:.3f}", f"{bare:.3f}", f"{ours / bare:.2f}")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
