"""The fake cluster's node: runs each pod as a real worker process on a loopback address of its own."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.scalers.kube.state import State, stamp

READY_LOOK_S = 0.05
BACKOFF_S = 0.5


class Node:
    """Starts, watches, restarts and stops workers. `settings` are SCRIBEWIRE_ variables without the prefix."""

    def __init__(self, state: State, settings: Mapping[str, str], *, grace_s: float = 30.0) -> None:
        self._state = state
        self._grace_s = grace_s
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBEWIRE_")}
        self._environment |= {f"SCRIBEWIRE_{name}": value for name, value in settings.items()}
        self._addresses = itertools.count(2)
        self.running: dict[str, asyncio.subprocess.Process] = {}
        self._stopping: set[str] = set()
        self.port = free_port()

    async def run(self, name: str) -> None:
        """Keep a pod's worker running until it is stopped."""
        ip = f"127.0.0.{next(self._addresses)}"
        self._state.update(name, podIP=ip)
        last: dict[str, Any] = {}
        for restarts in itertools.count():
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "scribewire.worker",
                "--listen",
                f"tcp:{ip}:{self.port}",
                "--name",
                name,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            if name in self._stopping:
                process.kill()
                await process.wait()
                return
            self.running[name] = process
            begun = stamp()
            self._show(name, {"running": {"startedAt": begun}}, last, restarts=restarts)
            ready = asyncio.ensure_future(self._wait_ready(name, ip, last, restarts))
            code = await process.wait()
            ready.cancel()
            if name in self._stopping:
                return
            ended = {"exitCode": abs(code), "reason": "Error", "startedAt": begun, "finishedAt": stamp()}
            last = {"terminated": ended}
            self._show(name, last, last, restarts=restarts)
            self._show(name, {"waiting": {"reason": "CrashLoopBackOff"}}, last, restarts=restarts)
            await asyncio.sleep(BACKOFF_S)

    async def stop(self, name: str) -> None:
        """Ask a pod's worker to end, make it after the grace, and let the pod be gone."""
        self._stopping.add(name)
        process = self.running.pop(name, None)
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self._grace_s):
                    await process.wait()
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        self._state.remove(name)

    def close(self) -> None:
        """Kill what is left."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    async def _wait_ready(self, name: str, ip: str, last: dict[str, Any], restarts: int) -> None:
        """Connect as the readiness probe does, until that works."""
        while True:
            try:
                _, writer = await asyncio.open_connection(ip, self.port)
            except OSError:
                await asyncio.sleep(READY_LOOK_S)
                continue
            writer.close()
            self._show(name, {"running": {"startedAt": stamp()}}, last, restarts=restarts, ready=True)
            return

    def _show(
        self, name: str, state: dict[str, Any], last: dict[str, Any], *, restarts: int, ready: bool = False
    ) -> None:
        if name not in self._state.pods:
            return
        status = {"name": "worker", "ready": ready, "restartCount": restarts, "state": state, "lastState": last}
        self._state.update(name, phase="Running", containerStatuses=[status])


def free_port() -> int:
    """Find a TCP port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
