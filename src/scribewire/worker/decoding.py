"""Decodes all live streams of a worker: the gate in the event loop, many streams a call, and decoders by permit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from scribewire.core.audio import s_of_samples
from scribewire.engines.base import PLAIN, Options
from scribewire.engines.gate import Gate
from scribewire.errors import ScribewireError
from scribewire.frames import Broken, Finish, Flush, Frame
from scribewire.worker.quanta import Decoded, Decoder, Decoders, Quantum
from scribewire.worker.scheduler import Grant, Scheduler
from scribewire.worker.second_pass import Pass, SecondPasses
from scribewire.worker.track import Track

_log = logging.getLogger(__name__)

# While every permit is taken and decoders are this far behind, a window is not decoded sooner for being judged at once:
# it may wait for those of other streams, until a permit is free. In one call four cost half of what they cost apart.
GATHER_LAG_S: Final = 0.05
GATHER_S: Final = 0.05


@dataclass(eq=False, slots=True)
class LiveStream:
    """A stream that holds a slot. `say` takes its frames; `on_end` is called once, after the last of them."""

    number: int
    choice: str
    track: Track
    decoder: Decoder
    decoders: Decoders
    say: Callable[[Sequence[Frame]], None]
    on_end: Callable[[LiveStream], None]
    # What hears each final once more, if anything does.
    second: str = ""
    second_decoders: Decoders | None = None
    options: Options = PLAIN
    ended: bool = False
    decoding: bool = field(default=False, init=False)
    in_second_pass: bool = field(default=False, init=False)


class Meter(Protocol):
    """Whoever keeps account of what decoding costs."""

    def spent(self, choice: str, *, cpu_s: float, audio_s: float, apart: bool) -> None:
        """Add the CPU seconds that some seconds of audio took; `apart` are those of other processes."""


class Decoding:
    """The live streams. While `run` runs, as many of them decode at once as there are permits."""

    def __init__(self, gate: Gate, meter: Meter, *, permits: int, second_pass_wait_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._gate = gate
        self._meter = meter
        self._scheduler: Scheduler[LiveStream] = Scheduler()
        self._second_passes = SecondPasses(second_pass_wait_s)
        self._streams: set[LiveStream] = set()
        self._unjudged: set[LiveStream] = set()
        self._judging: asyncio.Handle | None = None
        self._gathering = False
        self._permits = self._free_permits = permits
        self._work = asyncio.Event()

    @property
    def lag_s(self) -> float:
        """Give for how long the oldest audio has waited for a decoder."""
        return self._scheduler.lag_s(self._loop.time())

    # --- what a gateway asks -----------------------------------------------------------------------------------------

    def add(self, stream: LiveStream) -> None:
        """Take on a stream."""
        self._streams.add(stream)
        stream.decoder.on_loss = partial(self._lose, stream)
        self._scheduler.add(stream, kind=stream.decoders, batch=stream.decoders.batch)

    def feed(self, stream: LiveStream, pcm: bytes) -> None:
        """Take audio of a stream. Raises LinkBroken as `Track.receive`."""
        stream.track.receive(pcm, self._loop.time())
        self._touch(stream, may_wait=True)

    def flush(self, stream: LiveStream, frame: Flush | Finish) -> None:
        """End the stream's segment here. Raises LinkBroken as `Track.flush`."""
        stream.track.flush(frame)
        self._touch(stream)

    def end(self, stream: LiveStream) -> None:
        """Forget a stream and give its decoder back. Twice is once."""
        if stream.ended:
            return
        stream.ended = True
        self._streams.discard(stream)
        self._unjudged.discard(stream)
        self._scheduler.remove(stream)
        if not stream.decoding:
            stream.decoder.close()
        stream.on_end(stream)

    def break_(self, stream: LiveStream, reason: str) -> None:
        """Tell the gateway that the stream is lost, and forget it."""
        if not stream.ended:
            stream.say([Broken(stream.number, reason)])
            self.end(stream)

    def tell_consumed(self) -> None:
        """Say of every stream what it consumed beyond the last step: nothing else would, while no audio comes."""
        for stream in tuple(self._streams):
            self._emit(stream, fully=True)

    # --- the gate ----------------------------------------------------------------------------------------------------

    def _touch(self, stream: LiveStream, *, may_wait: bool = False) -> None:
        if stream.track.gate_stream.pending:
            self._unjudged.add(stream)
            self._judge_soon(may_wait=may_wait)
        else:
            self._emit(stream)

    def _judge_soon(self, *, may_wait: bool = False) -> None:
        if self._judging is not None:
            if may_wait or not self._gathering:
                return
            self._judging.cancel()
        self._gathering = may_wait and not self._free_permits and self.lag_s > GATHER_LAG_S
        # At the soonest later in this turn of the loop, when every socket that was ready has been read.
        loop = self._loop
        self._judging = loop.call_later(GATHER_S, self._judge) if self._gathering else loop.call_soon(self._judge)

    def _judge(self) -> None:
        self._judging, self._gathering = None, False
        touched = tuple(self._unjudged)
        self._gate.step([stream.track.gate_stream for stream in touched])
        for stream in touched:
            stream.track.judged()
            if not stream.track.gate_stream.pending:
                self._unjudged.discard(stream)
            self._emit(stream)
        if self._unjudged:
            self._judge_soon()

    # --- the decoders ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Decode, until cancelled."""
        async with asyncio.TaskGroup() as permits:
            for _ in range(self._permits):
                permits.create_task(self._use_permit())
                permits.create_task(self._second_passes.run())

    async def _use_permit(self) -> None:
        while True:
            grant = self._scheduler.pick(self._loop.time())
            if grant is not None:
                self._free_permits -= 1
                try:
                    await self._decode(grant)
                finally:
                    self._free_permits += 1
            elif self._judging is not None and self._gathering:
                self._judging.cancel()
                self._judge()
            else:
                self._work.clear()
                await self._work.wait()

    async def _decode(self, grant: Grant[LiveStream]) -> None:
        streams = grant.streams
        work = [(stream.decoder, stream.track.take_quantum(grant.windows)) for stream in streams]
        for stream in streams:
            stream.decoding = True
        try:
            answers = await streams[0].decoders.decode(work)
        except ScribewireError as error:
            _log.warning("A decoder was lost", extra={"engine": streams[0].choice, "streams": len(streams)})
            for stream in streams:
                self.break_(stream, str(error))
            return
        finally:
            for stream in streams:
                stream.decoding = False
                if stream.ended:
                    stream.decoder.close()
        for stream, (_, quantum), answer in zip(streams, work, answers, strict=True):
            self._take(stream, quantum, answer)

    def _take(self, stream: LiveStream, quantum: Quantum, answer: Decoded) -> None:
        now = self._loop.time()
        audio_s = s_of_samples(sum(map(len, quantum.windows)) // 2)
        self._meter.spent(stream.choice, cpu_s=answer.cpu_s, audio_s=audio_s, apart=stream.decoders.apart)
        self._scheduler.charge(stream, stream.track.new_windows, now)
        if stream.ended:
            return
        if answer.words and stream.second_decoders is not None:
            self._hear_again(stream, stream.second_decoders, answer)
        else:
            self._apply(stream, answer)

    def _hear_again(self, stream: LiveStream, decoders: Decoders, answer: Decoded) -> None:
        def settle(decoded: Decoded) -> None:
            stream.in_second_pass = False
            if not stream.ended:
                self._apply(stream, decoded)

        def account(cpu_s: float, audio_s: float) -> None:
            self._meter.spent(stream.second, cpu_s=cpu_s, audio_s=audio_s, apart=decoders.apart)

        # Until it is settled nothing else of this stream is decoded: what follows a final comes after it.
        stream.in_second_pass = True
        first_sample, windows = stream.track.spoken()
        self._second_passes.offer(
            Pass(
                decoders=decoders,
                options=stream.options,
                first_sample=first_sample,
                windows=windows,
                first=answer,
                settle=settle,
                account=account,
                wanted=lambda: not stream.ended,
            )
        )

    def _apply(self, stream: LiveStream, answer: Decoded) -> None:
        try:
            frames = stream.track.apply(answer, self._loop.time())
        except ScribewireError as error:
            self.break_(stream, str(error))
        else:
            self._emit(stream, frames)

    def _lose(self, stream: LiveStream) -> None:
        # What is asked of a decoder when it dies fails, and says why.
        if not stream.decoding:
            _log.warning("A decoder was lost", extra={"engine": stream.choice, "streams": 1})
            self.break_(stream, "The decoder died.")

    # --- out ---------------------------------------------------------------------------------------------------------

    def _emit(self, stream: LiveStream, frames: Sequence[Frame] = (), *, fully: bool = False) -> None:
        """Say what is to be said, and want what is to be decoded."""
        try:
            frames = [*frames, *stream.track.drain(fully=fully)]
        except ScribewireError as error:
            self.break_(stream, str(error))
            return
        if frames:
            stream.say(frames)
        if stream.track.finished:
            self.end(stream)
            return
        waiting_since = None if stream.in_second_pass else stream.track.waiting_since
        self._scheduler.want(stream, waiting_since)
        if waiting_since is not None:
            self._work.set()
