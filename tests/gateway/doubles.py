"""Workers for tests: a real socket, real frames and scripted conduct; doubles that misbehave are named for how."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from scribewire import frames
from scribewire.scalers.base import Phase, Scaler, Sighting

BEAT_S = 0.05


async def eventually(holds: Callable[[], object], *, within_s: float = 5.0) -> None:
    """Wait until it holds; fail when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        await asyncio.sleep(0.005)


class ScriptedWorker:
    """Grants `slots`, consumes at once, and ends each stream with one final that counts the samples it was fed."""

    phase = "ready"

    def __init__(self, name: str, folder: Path, *, slots: int = 2) -> None:
        self.name = name
        self.slots = slots
        self.address = f"unix:{folder}/{name}.sock"
        self.heard: list[frames.Frame] = []
        self.fed_samples: dict[int, int] = {}
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, self.address.removeprefix("unix:"))

    async def start_tcp(self) -> None:
        """Listen on a free port of this machine instead."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"tcp:127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def pause_reading(self) -> None:
        """Leave what the gateway says where it is."""
        for writer in self._writers:
            cast("asyncio.Transport", writer.transport).pause_reading()

    async def stop(self) -> None:
        """End at once, as a killed process does."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def live(self) -> int:
        """Count the streams it has."""
        return len(self.fed_samples)

    def say(self, frame: frames.Frame) -> None:
        """Say a frame to every gateway."""
        for writer in self._writers:
            writer.write(frames.encode(frame))

    def say_load(self) -> None:
        """Say how it is."""
        self.say(frames.Load(self.phase, self.slots, self.live, rtf=0.1, lag_s=0.0, cpu_s=1.0))

    def say_bytes(self, chunk: bytes) -> None:
        """Say what may be no frame."""
        for writer in self._writers:
            writer.write(chunk)

    def open(self, frame: frames.Open) -> None:
        """Answer the wish for a slot."""
        if self.live >= self.slots:
            self.say(frames.Refused(frame.stream, "at_capacity", "No slot is free."))
            return
        self.fed_samples[frame.stream] = 0
        self.say(frames.Opened(frame.stream))

    def beat(self) -> None:
        """Show life."""
        self.say_load()

    def take(self, frame: frames.Frame) -> None:
        """Do as a frame says."""
        match frame:
            case frames.Hello():
                self.say(frames.Welcome(frames.VERSION, self.name, pid=1234))
                self.say_load()
            case frames.Open():
                self.open(frame)
            case frames.Audio() if frame.stream in self.fed_samples:
                self.fed_samples[frame.stream] += len(frame.pcm) // 2
                self.say(frames.Consumed(frame.stream, self.fed_samples[frame.stream]))
            case frames.Flush():
                self.say(frames.Flushed(frame.stream, frame.mark))
            case frames.Finish() if frame.stream in self.fed_samples:
                samples = self.fed_samples.pop(frame.stream)
                self.say(frames.FinalResult(frame.stream, ((str(samples), 0, samples, 0.9),), samples, b"state"))
                self.say(frames.Finished(frame.stream))
                self.say_load()
            case frames.Abort():
                self.fed_samples.pop(frame.stream, None)
                self.say_load()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())  # type: ignore[arg-type] # a connection is served by a task
        beating = asyncio.create_task(self._beat())
        self._tasks.add(beating)
        self._writers.add(writer)
        cutter = frames.FrameReader()
        with suppress(ConnectionError):  # an abrupt end is one way for a gateway to leave
            while chunk := await reader.read(65_536):
                for frame in cutter.feed(chunk):
                    self.heard.append(frame)
                    self.take(frame)
        self.fed_samples.clear()
        beating.cancel()
        self._writers.discard(writer)
        writer.transport.abort()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self.beat()


class NeverGetsReady(ScriptedWorker):
    """Loads for ever."""

    phase = "loading"


class DiesWhileOpening(ScriptedWorker):
    """Closes the connection when it is asked for a slot."""

    def open(self, frame: frames.Open) -> None:
        for writer in self._writers:
            writer.transport.abort()


class OpensAndDies(ScriptedWorker):
    """Grants the slot and closes the connection in one breath."""

    def open(self, frame: frames.Open) -> None:
        super().open(frame)
        for writer in self._writers:
            writer.close()


class SilentAfterWelcome(ScriptedWorker):
    """Says that it is ready, and then nothing of its own accord."""

    def beat(self) -> None:
        pass


class RefusesAlways(ScriptedWorker):
    """Boasts of slots and grants none."""

    code = "at_capacity"

    def open(self, frame: frames.Open) -> None:
        self.say(frames.Refused(frame.stream, self.code, "Not here."))


class UnservedLanguage(RefusesAlways):
    """Has no engine for what is asked."""

    code = "unknown_language"


class MissingEngine(RefusesAlways):
    """Has the choice, and not the engine or the model for it."""

    code = "engine_missing"


class SendsGarbage(ScriptedWorker):
    """Answers the wish for a slot with noise."""

    def open(self, frame: frames.Open) -> None:
        self.say_bytes(b"\xff" * 64)


class NeverAnswersOpen(ScriptedWorker):
    """Ignores the wish for a slot."""

    def open(self, frame: frames.Open) -> None:
        pass


class SpeaksAnotherVersion(ScriptedWorker):
    """Greets in a version of the link that does not exist yet."""

    def take(self, frame: frames.Frame) -> None:
        if isinstance(frame, frames.Hello):
            self.say(frames.Welcome(frames.VERSION + 1, self.name, pid=1))


class InMemoryScaler(Scaler):
    """Scripted workers in this process; `makes` says of which kind the next ones are, the last for good."""

    def __init__(self, folder: Path, makes: Sequence[type[ScriptedWorker]] = (ScriptedWorker,), slots: int = 2) -> None:
        self.folder = folder
        self.makes = list(makes)
        self.slots = slots
        self.workers: dict[str, ScriptedWorker] = {}
        self.scaled: list[tuple[int, tuple[str, ...]]] = []
        self.failed: dict[str, Sighting] = {}
        self.refuses: Exception | None = None
        self.hangs = False
        self.made = 0

    async def scale(self, count: int, *, victims: Sequence[str] = ()) -> None:
        self.scaled.append((count, tuple(victims)))
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses is not None:
            raise self.refuses
        for name in victims:
            await self._end(self.workers[name])
        for worker in self._staying()[count:]:
            await self._end(worker)
        while len(self._staying()) < count:
            self.made += 1
            make = self.makes.pop(0) if len(self.makes) > 1 else self.makes[0]
            worker = make(f"w{self.made}", self.folder, slots=self.slots)
            self.workers[worker.name] = worker
            await worker.start()

    async def observe(self) -> list[Sighting]:
        for worker in tuple(self.workers.values()):
            if worker.phase == "draining" and not worker.live:
                await self._end(worker)
        return [
            self.failed.get(name) or Sighting(name, _seen_phase(worker), worker.address)
            for name, worker in self.workers.items()
        ]

    async def close(self) -> None:
        for worker in self.workers.values():
            await worker.stop()

    def _staying(self) -> list[ScriptedWorker]:
        return [worker for worker in self.workers.values() if worker.phase != "draining"]

    async def _end(self, worker: ScriptedWorker) -> None:
        """Stop it, or have it drain first if it has streams."""
        if not worker.live:
            await self.workers.pop(worker.name).stop()
        elif worker.phase != "draining":
            worker.phase = "draining"
            worker.say(frames.Draining("it was told to stop"))

    def fail(self, name: str, failures: int) -> None:
        """Show a worker as crashed."""
        self.failed[name] = Sighting(name, Phase.FAILED, self.workers[name].address, "killed by SIGKILL", failures)


class InMemoryTargets:
    """A store of one number."""

    def __init__(self, stored: tuple[int, float] | None = None) -> None:
        self.stored = stored
        self.written: list[int] = []

    async def read_target(self) -> tuple[int, float] | None:
        return self.stored

    async def write_target(self, count: int) -> None:
        self.written.append(count)
        self.stored = (count, time.time())


def _seen_phase(worker: ScriptedWorker) -> Phase:
    return Phase.STOPPING if worker.phase == "draining" else Phase.RUNNING
