"""The live streams of a worker: what is judged in one call, and when; decoders answer when the test lets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from scribewire.core.audio import WINDOW_BYTES
from scribewire.engines.base import PLAIN, Options, Setup
from scribewire.engines.detectors import EnergyDetector, Judgement
from scribewire.engines.gate import STEP_WINDOWS, Gate
from scribewire.engines.scripted import ScriptedEngine
from scribewire.frames import FinalResult, Finish, Finished, Flush, Flushed, Frame, Open
from scribewire.settings import GateSettings
from scribewire.tones import say, silence
from scribewire.worker.decoding import GATHER_LAG_S, Decoding, LiveStream
from scribewire.worker.quanta import Decoded, Decoder, Decoders, Quantum, decode_all
from scribewire.worker.threads import ThreadDecoder
from scribewire.worker.track import Track

# It waits while decoders fall behind.
pytestmark = pytest.mark.integration

FRAME_BYTES = 3 * WINDOW_BYTES
WAIT_S = 5.0


class NotedDetector(EnergyDetector):
    """Notes how many windows of each stream came in each call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def judge(self, runs: Sequence[Sequence[bytes]], memories: Sequence[bytes]) -> list[list[Judgement]]:
        self.calls.append([len(run) for run in runs])
        return super().judge(runs, memories)


class HeldDecoders(Decoders):
    """Decoders that answer only while `free` is set."""

    batch = 1
    piece_windows = 62
    apart = False

    def __init__(self) -> None:
        self._engine = ScriptedEngine(Setup("words"))
        self.free = asyncio.Event()

    async def load(self) -> None:
        self._engine.load()

    async def open(self, resume: bytes = b"", options: Options = PLAIN) -> ThreadDecoder:
        return ThreadDecoder(self._engine.open(resume, options))

    async def decode(self, work: Sequence[tuple[Decoder, Quantum]]) -> list[Decoded]:
        await self.free.wait()
        [(decoder, quantum)] = work
        assert isinstance(decoder, ThreadDecoder)
        return decode_all(self._engine, [(decoder.stream, quantum)], lambda: 0.0)

    async def close(self) -> None:
        self._engine.close()


class NoMeter:
    def spent(self, choice: str, *, cpu_s: float, audio_s: float, apart: bool) -> None:
        pass


class Rig:
    """A worker's decoding without its sockets."""

    def __init__(self, permits: int) -> None:
        self.detector = NotedDetector()
        self.gate = Gate(self.detector, GateSettings())
        self.decoding = Decoding(self.gate, NoMeter(), permits=permits, second_pass_wait_s=1.0)
        self.decoders = HeldDecoders()
        self.said: dict[int, list[Frame]] = {}
        self.ended = asyncio.Event()

    async def open(self, number: int) -> LiveStream:
        self.said[number] = []
        opened = Open(number, "s", "en", "fast", 0, partial=True, actual_numbers=False, resume=b"")
        stream = LiveStream(
            number=number,
            choice="scripted:words",
            track=Track(opened, self.gate),
            decoder=await self.decoders.open(),
            decoders=self.decoders,
            say=self.said[number].extend,
            on_end=lambda stream: self.ended.set(),
        )
        self.decoding.add(stream)
        return stream

    async def fall_behind(self) -> None:
        """Hold the decoders while a stream has speech for them, until they are behind."""
        self.decoders.free.clear()
        self.decoding.feed(await self.open(99), say("alfa"))
        async with asyncio.timeout(WAIT_S):
            while self.decoding.lag_s <= GATHER_LAG_S:
                await asyncio.sleep(GATHER_LAG_S / 5)
        self.detector.calls.clear()


@asynccontextmanager
async def rigged(*, permits: int = 1) -> AsyncIterator[Rig]:
    rig = Rig(permits)
    await rig.decoders.load()
    loop = asyncio.create_task(rig.decoding.run())
    try:
        yield rig
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await rig.decoders.close()


async def turns(count: int = 3) -> None:
    """Let the event loop do what is due, without waiting."""
    for _ in range(count):
        await asyncio.sleep(0)


async def judged(rig: Rig, calls: int) -> list[list[int]]:
    """Wait until the gate was called so often."""
    async with asyncio.timeout(WAIT_S):
        while len(rig.detector.calls) < calls:
            await asyncio.sleep(0.005)
    return rig.detector.calls


async def test_while_decoders_keep_up_audio_is_judged_at_once() -> None:
    async with rigged() as rig:
        for number in range(2):
            rig.decoding.feed(await rig.open(number), bytes(FRAME_BYTES))
            await turns()

        assert rig.detector.calls == [[3], [3]]


async def test_streams_that_are_fed_in_one_turn_are_judged_in_one_call() -> None:
    async with rigged() as rig:
        for stream in [await rig.open(number) for number in range(3)]:
            rig.decoding.feed(stream, bytes(FRAME_BYTES))
        await turns()

        assert rig.detector.calls == [[3, 3, 3]]


async def test_while_decoders_are_behind_audio_waits_for_that_of_other_streams() -> None:
    async with rigged() as rig:
        await rig.fall_behind()
        for number in range(3):
            rig.decoding.feed(await rig.open(number), bytes(FRAME_BYTES))
            await turns()

        assert rig.detector.calls == []
        [together] = await judged(rig, 1)
        assert sorted(together) == [3, 3, 3]


async def test_a_permit_that_is_free_has_nobody_wait() -> None:
    async with rigged(permits=2) as rig:
        await rig.fall_behind()
        rig.decoding.feed(await rig.open(1), bytes(FRAME_BYTES))
        await turns()

        assert rig.detector.calls == [[3]]


async def test_what_waits_is_judged_when_a_permit_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scribewire.worker.decoding.GATHER_S", 100 * WAIT_S)
    async with rigged() as rig:
        await rig.fall_behind()
        for number in range(2):
            rig.decoding.feed(await rig.open(number), bytes(FRAME_BYTES))
        rig.decoders.free.set()

        [together] = await judged(rig, 1)
        assert together == [3, 3]


async def test_what_ends_a_segment_does_not_wait_with_the_audio_before_it() -> None:
    async with rigged() as rig:
        await rig.fall_behind()
        stream = await rig.open(1)
        rig.decoding.feed(stream, bytes(FRAME_BYTES))
        rig.decoding.flush(stream, Flush(1, 5))
        await turns()

        assert rig.detector.calls == [[3]]
        assert Flushed(1, 5) in rig.said[1]


async def test_a_burst_is_judged_in_bounded_calls_one_right_after_the_other() -> None:
    async with rigged() as rig:
        await rig.fall_behind()
        rig.decoding.feed(await rig.open(1), bytes(10 * WINDOW_BYTES))
        calls = await judged(rig, 1)
        await turns()

        assert calls == [[STEP_WINDOWS], [STEP_WINDOWS], [10 - 2 * STEP_WINDOWS]]


async def test_nothing_is_lost_by_falling_behind() -> None:
    pcm = say("alfa bravo charlie") + silence(600)
    async with rigged() as rig:
        await rig.fall_behind()
        stream = await rig.open(1)
        for at in range(0, len(pcm), FRAME_BYTES):
            rig.decoding.feed(stream, pcm[at : at + FRAME_BYTES])
            await asyncio.sleep(0.005)
        rig.decoding.flush(stream, Finish(1))
        rig.decoders.free.set()
        async with asyncio.timeout(WAIT_S):
            await rig.ended.wait()

        finals = [frame for frame in rig.said[1] if isinstance(frame, FinalResult)]
        assert [word[0] for final in finals for word in final.words] == ["alfa", "bravo", "charlie"]
        assert isinstance(rig.said[1][-1], Finished)
