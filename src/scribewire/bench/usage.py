"""What a service spends while it is measured, from its own /metrics; and what measuring it costs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx

from scribewire.client.aio import is_loopback

WAIT_S: Final = 5.0
_SAMPLE: Final = re.compile(r'^(?P<name>\w+)(?:\{(?:.*?worker="(?P<worker>[^"]*)")?.*\})? (?P<value>\S+)$')


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds since a process began, and the memory it holds now."""

    cpu_s: float
    memory_bytes: float


@dataclass(slots=True)
class Usage:
    """One reading, at a monotonic time. `own_cpu_s` is this program's."""

    at: float
    own_cpu_s: float
    gateway: Spent | None = None
    workers: dict[str, Spent] = field(default_factory=dict)


class Gauge:
    """Reads /metrics of one service; a service that shows none is read as spending nothing known."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=WAIT_S, trust_env=not is_loopback(url))

    async def read(self) -> Usage:
        """Take a reading."""
        usage = Usage(time.monotonic(), time.process_time())
        try:
            answer = await self._http.get("/metrics")
        except httpx.HTTPError:
            return usage
        if answer.is_success:
            usage.gateway, usage.workers = parse(answer.text)
        return usage

    async def close(self) -> None:
        """Close its connection."""
        await self._http.aclose()


def parse(text: str) -> tuple[Spent | None, dict[str, Spent]]:
    """Read Prometheus' text format: what the gateway and each worker spent, of whom both figures are there."""
    values = {(name, worker): value for name, worker, value in _samples(text)}

    def spent(prefix: str, cpu: str, memory: str, worker: str) -> Spent | None:
        cpu_s, memory_bytes = values.get((prefix + cpu, worker)), values.get((prefix + memory, worker))
        return None if cpu_s is None or memory_bytes is None else Spent(cpu_s, memory_bytes)

    workers = sorted({worker for _, worker in values if worker})
    found = {name: spent("scribewire_worker_", "cpu_seconds", "memory_bytes", name) for name in workers}
    return (
        spent("process_", "cpu_seconds_total", "resident_memory_bytes", ""),
        {name: one for name, one in found.items() if one is not None},
    )


def _samples(text: str) -> Iterator[tuple[str, str, float]]:
    for line in text.splitlines():
        if match := _SAMPLE.match(line):
            yield match["name"], match["worker"] or "", float(match["value"])
