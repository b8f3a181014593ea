"""A gateway's end of a link, for tests of real worker processes: says what it is told, keeps what it hears."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from scribewire.frames import VERSION, Audio, Finish, Frame, FrameReader, Hello, Load, Open, Welcome, encode
from scribewire.settings import EnginesSettings, GateSettings, LanguageSettings, Settings

F = TypeVar("F", bound=Frame)

WAIT_S = 20.0


def scripted(model: str, **groups: object) -> Settings:
    """Give settings whose only engine is a scripted one, behind the energy gate."""
    languages = {"en": LanguageSettings(fast=f"scripted:{model}")}
    chosen: dict[str, object] = {
        "engines": EnginesSettings(languages=languages),
        "gate": GateSettings(detector="energy"),
    }
    return Settings(**{**chosen, **groups})  # type: ignore[arg-type] # groups by their names


@dataclass
class WorkerProcess:
    """A worker, and the write end of the pipe that it watches."""

    process: subprocess.Popen[bytes]
    address: Path
    lifeline: int

    def close(self) -> None:
        self.process.kill()
        self.process.wait(5)
        os.close(self.lifeline)


def start_worker(
    folder: Path, settings: Settings, *, listen: str = "", alone: bool = False, stderr: int | None = None
) -> WorkerProcess:
    """Start one as the local scaler does, or `alone`, as by hand."""
    address = folder / "w.sock"
    read_fd, write_fd = os.pipe()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBEWIRE_")}
    arguments = ("--listen", listen or f"unix:{address}", "--name", "w1")
    lifeline = () if alone else ("--lifeline-fd", str(read_fd))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "scribewire.worker", *arguments, *lifeline],
        env=inherited | settings.environment(),
        pass_fds=(read_fd,),
        start_new_session=True,
        stderr=stderr,
    )
    os.close(read_fd)
    return WorkerProcess(process, address, write_fd)


@dataclass
class Gateway:
    """One connection. `heard` is all that came, in order."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[Frame] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    frames: FrameReader = field(default_factory=FrameReader)

    async def wait(self, kind: type[F], when: Callable[[F], bool] = lambda frame: True, *, since: int = 0) -> F:
        """Wait for a frame, one that came already included, unless it came before the one numbered `since`."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for frame in self.heard[since:]:
                    if isinstance(frame, kind) and when(frame):
                        return frame
                since = len(self.heard)
                assert await self._read(), f"the worker hung up before it said {kind.__name__}"

    async def wait_closed(self) -> None:
        """Wait until the worker hangs up."""
        async with asyncio.timeout(WAIT_S):
            while await self._read():
                pass

    async def _read(self) -> bool:
        try:
            chunk = await self.reader.read(65_536)
        except ConnectionError:
            return False
        arrived = self.frames.feed(chunk)
        self.heard += arrived
        self.heard_at += [time.monotonic()] * len(arrived)
        return bool(chunk)

    def say(self, frame: Frame) -> None:
        self.writer.write(encode(frame))

    def open(
        self,
        stream: int,
        *,
        language: str = "en",
        type_: str = "fast",
        first_sample: int = 0,
        resume: bytes = b"",
    ) -> None:
        self.say(Open(stream, f"session-{stream}", language, type_, first_sample, True, False, resume))

    def feed(self, stream: int, pcm: bytes) -> None:
        for at in range(0, len(pcm), 3200):
            self.say(Audio(stream, pcm[at : at + 3200]))

    def finish(self, stream: int) -> None:
        self.say(Finish(stream))

    def of(self, stream: int, kind: type[F]) -> list[F]:
        return [frame for frame in self.heard if isinstance(frame, kind) and getattr(frame, "stream", 0) == stream]

    def close(self) -> None:
        self.writer.close()


async def connect(worker: WorkerProcess, *, hello: Frame | None = None) -> Gateway:
    """Connect as soon as it listens, and greet."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                gateway = Gateway(*await asyncio.open_unix_connection(worker.address))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                assert worker.process.poll() is None, "the worker ended before it listened"
                await asyncio.sleep(0.01)
    gateway.say(hello or Hello(VERSION, "tests"))
    return gateway


async def connect_ready(worker: WorkerProcess) -> Gateway:
    """Connect, and wait until the worker is ready."""
    gateway = await connect(worker)
    await gateway.wait(Welcome)
    await gateway.wait(Load, lambda load: load.phase == "ready")
    return gateway
