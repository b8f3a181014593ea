"""The local scaler: workers as child processes that die with their parent and are restarted when they crash."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from scribewire.errors import InitializeFailed
from scribewire.scalers.base import Phase, Scaler, Sighting

_log = logging.getLogger(__name__)

BACKOFF_FIRST_S: Final = 0.5
BACKOFF_LAST_S: Final = 30.0
# A worker that lived this long was healthy: what kills it later is a new trouble, not the old one again.
HEALTHY_AFTER_S: Final = 60.0
# What a worker without sessions gets between SIGTERM and SIGKILL, and any worker once it should have drained.
STOP_WAIT_S: Final = 5.0
# sun_path holds 104 bytes on macOS and 108 on Linux, its terminating zero included.
_LONGEST_SOCKET_PATH_BYTES: Final = 103
_ROOM_FOR_SOCKET_NAME_BYTES: Final = len("/w1000000.sock")

# Worker name, address to listen on and number of the lifeline's file descriptor in; argument vector out.
Command = Callable[[str, str, int], Sequence[str]]


def worker_command(name: str, address: str, lifeline: int) -> Sequence[str]:
    """Give the argument vector of a worker. -P keeps the working directory off its import path."""
    worker = ("--listen", address, "--name", name, "--lifeline-fd", str(lifeline))
    return (sys.executable, "-P", "-m", "scribewire.worker", *worker)


class LocalScaler(Scaler):
    """Spawns workers that listen on Unix sockets in a private folder. `environment` is all that a child gets.

    A worker that is to stop may take `drain_s` for its sessions to move before it is killed.
    """

    shared = False

    def __init__(self, environment: Mapping[str, str], *, drain_s: float, command: Command = worker_command) -> None:
        self.environment = dict(environment)
        self._drain_s = drain_s
        self._command = command
        self._children: dict[str, _Child] = {}
        self._spawned = 0
        self._run_dir: Path | None = None
        self._lifeline: _Lifeline | None = None

    async def scale(self, count: int, *, victims: Sequence[str] = ()) -> None:
        """Spawn what is missing, stop what is too many: the victims, then the newest."""
        for name in victims:
            if name in self._children:
                self._children[name].stop()
        staying = [child for child in self._children.values() if not child.stopping]
        for child in staying[count:]:
            child.stop()
        for _ in range(count - len(staying)):
            await self._spawn()

    async def observe(self) -> list[Sighting]:
        """Give every child that is not gone."""
        self._children = {name: child for name, child in self._children.items() if not child.gone}
        return [child.sight() for child in self._children.values()]

    async def close(self) -> None:
        """Stop all children, kill those that will not, and remove the folder of their sockets.

        Nothing can move from here on, so nobody gets the time to drain.
        """
        for child in self._children.values():
            child.stop()
        await asyncio.gather(*(child.wait_gone(STOP_WAIT_S) for child in self._children.values()))
        self._children.clear()
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        if self._run_dir is not None:
            shutil.rmtree(self._run_dir, ignore_errors=True)
            self._run_dir = None

    async def _spawn(self) -> None:
        self._spawned += 1
        name = f"w{self._spawned}"
        try:
            self._run_dir = self._run_dir or make_run_dir()
            self._lifeline = self._lifeline or _Lifeline()
        except OSError as error:
            raise InitializeFailed(f"a worker could not be prepared ({error.strerror})") from error
        socket = self._run_dir / f"{name}.sock"
        arguments = self._command(name, f"unix:{socket}", self._lifeline.read_fd)
        child = _Child(name, socket, arguments, self.environment, self._lifeline.read_fd, self._drain_s + STOP_WAIT_S)
        await child.start()
        self._children[name] = child


class _Lifeline:
    """A pipe whose only write end is ours: the kernel closes it when we die, however we die, and children see the end.

    Python's pipes are close-on-exec, so a child inherits only the end that it is handed.
    """

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()

    def close(self) -> None:
        os.close(self.read_fd)
        os.close(self._write_fd)


class _Child:
    """One worker under its name: its process, and the next one when that crashes."""

    def __init__(
        self,
        name: str,
        socket: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        lifeline_fd: int,
        stop_wait_s: float,
    ) -> None:
        self._name = name
        self._socket = socket
        self._arguments = arguments
        self._environment = environment
        self._lifeline_fd = lifeline_fd
        self._stop_wait_s = stop_wait_s
        self._phase = Phase.STARTING
        self._reason = ""
        self._failures = 0
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stop_asked = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Say whether it was told to stop."""
        return self._stop_asked.is_set()

    @property
    def gone(self) -> bool:
        """Say whether nothing of it is left."""
        return self._keeper is not None and self._keeper.done()

    def sight(self) -> Sighting:
        """Give what is to be seen of it."""
        phase = Phase.STOPPING if self.stopping else self._phase
        return Sighting(self._name, phase, f"unix:{self._socket}", self._reason, self._failures)

    async def start(self) -> None:
        """Spawn it and keep it running. Raises InitializeFailed when the first spawn fails."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self._name}")

    def stop(self) -> None:
        """Ask it to end; it is killed when it does not."""
        self._stop_asked.set()

    async def wait_gone(self, within_s: float) -> None:
        """Wait until its process is reaped; it is killed when that takes longer."""
        if self._keeper is None:
            return
        await asyncio.wait([self._keeper], timeout=within_s)
        if not self._keeper.done():
            self._kill()
            await asyncio.wait([self._keeper])

    async def _spawn(self) -> None:
        try:
            # What a crashed one left behind must not be taken for the next one's.
            self._socket.unlink(missing_ok=True)
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                env=self._environment,
                pass_fds=(self._lifeline_fd,),
                start_new_session=True,
            )
        except OSError as error:
            raise InitializeFailed(f"a worker could not be spawned ({error.strerror})") from error
        self._phase = Phase.RUNNING
        self._reason = ""
        _log.info("A worker was spawned", extra={"worker": self._name, "pid": self._process.pid})

    async def _keep(self) -> None:
        """Restart it whenever it crashes, later each time, until it is asked to stop."""
        loop = asyncio.get_running_loop()
        while True:
            born = loop.time()
            await self._wait_end()
            if self.stopping:
                return
            self._failures = 1 if loop.time() - born >= HEALTHY_AFTER_S else self._failures + 1
            if not await self._spawn_again():
                return

    async def _spawn_again(self) -> bool:
        """Back off and spawn, until one is there (True) or it is asked to stop (False)."""
        while True:
            self._phase = Phase.FAILED
            wait_s = min(BACKOFF_FIRST_S * 2 ** (self._failures - 1), BACKOFF_LAST_S)
            _log.warning(
                "A worker failed and will be restarted",
                extra={"worker": self._name, "reason": self._reason, "failures": self._failures, "wait_s": wait_s},
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stop_asked.wait()
                return False
            try:
                await self._spawn()
            except InitializeFailed as error:
                self._reason = error.details
                self._failures += 1
            else:
                return True

    async def _wait_end(self) -> None:
        """Wait for the process to end, or end it when that is asked, and reap it."""
        assert self._process is not None
        ended = asyncio.create_task(self._process.wait())
        asked = asyncio.create_task(self._stop_asked.wait())
        await asyncio.wait([ended, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not ended.done():
            await self._end(ended)
        self._reason = _describe(await ended)

    async def _end(self, ended: asyncio.Task[int]) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.terminate()
        await asyncio.wait([ended], timeout=self._stop_wait_s)
        if not ended.done():
            self._kill()

    def _kill(self) -> None:
        assert self._process is not None
        _log.warning("A worker did not stop in time and is killed", extra={"worker": self._name})
        with suppress(ProcessLookupError):
            # Its session is its own, so the group is the worker and what it forked.
            os.killpg(self._process.pid, signal.SIGKILL)


def make_run_dir() -> Path:
    """Make a private folder whose path leaves room for a socket's name."""
    made = Path(tempfile.mkdtemp(prefix="scribewire-"))
    if len(os.fsencode(made)) + _ROOM_FOR_SOCKET_NAME_BYTES <= _LONGEST_SOCKET_PATH_BYTES:
        return made
    made.rmdir()
    return Path(tempfile.mkdtemp(prefix="scribewire-", dir="/tmp"))


def _describe(status: int) -> str:
    """Say how a process ended, from its status as asyncio gives it: negative is a signal."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
