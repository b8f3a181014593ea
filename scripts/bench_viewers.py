"""Print what those who read along cost the gateway, beside a session that nobody reads. Usage: [--viewers N]."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from itertools import cycle, islice

from websockets.asyncio.client import ClientConnection, connect

from scribewire.tones import VOCABULARY, say
from service import Service, running
from wire import Talk

BAR = 0.10  # of a core
SPEAK_S = 20.0
SETTINGS = {
    "ENGINES__EN__FAST": "scripted:words,cost=0.005",
    "GATE__DETECTOR": "energy",
    "WORKER__SLOTS": "4",
    "AUTOSCALING__MIN_WORKERS": "1",
}


async def measure(viewers: int) -> None:
    async with running(SETTINGS) as service:
        await asyncio.to_thread(service.initialize)
        share = service.call("POST", "/api/v4/realtime/shares").json()
        alone, _ = await _speak(service, share["id"])
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            url = f"{service.socket_url}/v2/watch?token={share['secret']}"
            sockets = [await stack.enter_async_context(connect(url, compression=None)) for _ in range(viewers)]
            reading = [tasks.create_task(_read(socket)) for socket in sockets]
            watched, messages = await _speak(service, share["id"])
            for task in reading:
                task.cancel()
    added = watched - alone
    print(f"speaking alone          {alone:6.3f} of a core")
    print(f"with {viewers:4} viewers       {watched:6.3f} of a core")
    print(f"the viewers cost        {added:6.3f} of a core, bar {BAR:.2f}: {'held' if added <= BAR else 'MISSED'}")
    each_us = added / messages / viewers * SPEAK_S * 1e6
    print(f"messages to each        {messages / SPEAK_S:6.1f} a second, {each_us:.0f} µs each")


async def _speak(service: Service, share: str) -> tuple[float, int]:
    """Speak for a while at the pace of speech; give the gateway's share of a core, and how much was said."""
    ticket = service.call("POST", "/api/v4/realtime/tickets", json={"share": share}).json()["ticket"]
    talk = await Talk.open(f"{service.socket_url}/v2/realtime?token={ticket}")
    await talk.start()
    pcm = say(" ".join(islice(cycle(VOCABULARY), 200)), gap_ms=120)[: int(SPEAK_S * 32_000)]
    before_s = service.gateway_cpu_s()
    await talk.send(pcm)
    spent_s = service.gateway_cpu_s() - before_s
    heard = await talk.stop()
    return spent_s / SPEAK_S, len(heard.messages)


async def _read(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=200)
    asyncio.run(measure(parser.parse_args().viewers))
