"""A run: sessions that begin one after the other, all live together for a while, and what they came to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from scribewire.bench.clips import Reel
from scribewire.bench.meter import Heard, Meter
from scribewire.bench.speaker import Plan, Speaker
from scribewire.bench.usage import Gauge, Usage
from scribewire.client import Client


@dataclass(eq=False)
class Run:
    """One run and all it measured; whole after `go`, and true as far as it came whenever that is cut short.

    Figures of lag count between `counted_from` and `counted_to` (monotonic). Setting `interrupted` lets every session
    stop in order.
    """

    plan: Plan
    reel: Reel
    meter: Meter = field(default_factory=Meter)
    heard: list[Heard] = field(default_factory=list)
    before: Usage | None = None
    after: Usage | None = None
    began: float = 0.0
    ended: float = 0.0
    own_cpu_s: float = 0.0
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def counted_from(self) -> float:
        """Give when the last session has begun and the warm-up is over."""
        return self.began + self.plan.warm_up_s

    @property
    def counted_to(self) -> float:
        """Give when the first session may end."""
        return self.counted_from + self.plan.seconds

    async def go(self, client: Client, endpoint: str, gauge: Gauge) -> None:
        """Hold all sessions to their end."""
        speakers = [Speaker(client, self.reel, self.plan, place, self.meter) for place in range(self.plan.sessions)]
        self.heard = [speaker.heard for speaker in speakers]
        own_cpu_s = time.process_time()
        self.began = time.monotonic()
        watching = asyncio.create_task(self._watch(gauge))
        try:
            async with asyncio.TaskGroup() as sessions:
                for speaker in speakers:
                    begin = self.began + self.plan.warm_up_s * speaker.heard.place / self.plan.sessions
                    sessions.create_task(speaker.run(endpoint, begin, self.interrupted))
        finally:
            self.ended = time.monotonic()
            self.own_cpu_s = time.process_time() - own_cpu_s
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if self.before is not None and self.after is None:
            self.after = await gauge.read()

    async def _watch(self, gauge: Gauge) -> None:
        """Read what the service spends at both ends of what counts."""
        await asyncio.sleep(self.counted_from - time.monotonic())
        self.before = await gauge.read()
        await asyncio.sleep(self.counted_to - time.monotonic())
        self.after = await gauge.read()
