"""A real service in a process of its own, for tests, benchmarks and measurements."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

START_WAIT_S = 20.0
STOP_WAIT_S = 30.0
_NOT_PASSED = ("SCRIBEWIRE_", "PYTHONDONTWRITEBYTECODE")


@dataclass
class Service:
    """A running `scribewire serve`. `log` is everything that it and its children wrote."""

    process: subprocess.Popen[bytes]
    url: str
    key: str = field(repr=False)
    data_dir: Path
    log: Path
    # Made once: loading the trust store takes longer than most answers.
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=150), repr=False)

    @property
    def socket_url(self) -> str:
        """Give the URL to which a WebSocket path is appended."""
        return self.url.replace("http", "ws", 1)

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        """Make one REST call, with the first key unless another is given."""
        headers = {"x-zoom-s2t-key": key or self.key} | options.pop("headers", {})
        return self.client.request(method, self.url + path, headers=headers, **options)

    def initialize(self) -> dict[str, Any]:
        """Bring the service up; give the answer."""
        response = self.call("POST", "/api/v4/realtime/initialize")
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def family(self) -> list[psutil.Process]:
        """Give every process below the gateway: workers, nurseries, lanes."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """Give the worker processes alone."""
        return psutil.Process(self.process.pid).children()

    def worker_cpu_s(self) -> float:
        """Give the CPU seconds that workers, nurseries and lanes have used so far, those that ended included."""
        total = 0.0
        for process in self.family():
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def gateway_cpu_s(self) -> float:
        """Give the CPU seconds that the gateway process has used so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def interrupt(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the gateway a signal."""
        self.process.send_signal(number)

    async def ended(self, *, within_s: float = STOP_WAIT_S) -> int:
        """Wait for the end; give the exit code."""
        return await asyncio.to_thread(self.process.wait, within_s)


@asynccontextmanager
async def running(
    settings: Mapping[str, str] | None = None, *, data_dir: Path | None = None, port: int = 0
) -> AsyncIterator[Service]:
    """Run a service on a free port until the block ends. `settings` are SCRIBEWIRE_ variables without the prefix."""
    with tempfile.TemporaryDirectory(prefix="scribewire-") as folder:
        home = data_dir or Path(folder)
        service = await start(home, settings or {}, port=port)
        try:
            yield service
        finally:
            if service.process.poll() is None:
                service.interrupt()
                try:
                    await service.ended()
                except subprocess.TimeoutExpired:
                    service.process.kill()
                    service.process.wait()


async def start(data_dir: Path, settings: Mapping[str, str], *, port: int = 0) -> Service:
    """Start a service on a data folder and wait until it listens."""
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "serve.log"
    announcement = data_dir / "serve.json"
    announcement.unlink(missing_ok=True)
    # As installed: with its bytecode on disk, and none of the settings of whoever measures.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED)}
    environment |= {f"SCRIBEWIRE_{name}": value for name, value in settings.items()}
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "scribewire", "serve", "--port", str(port), "--data-dir", str(data_dir)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_WAIT_S
    while not announcement.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"the service did not start:\n{log.read_text()}")
        await asyncio.sleep(0.02)
    url = json.loads(announcement.read_text())["url"]
    key = (data_dir / "admin.key").read_text().strip()
    return Service(process=process, url=url, key=key, data_dir=data_dir, log=log)
