"""What a decoder is asked and what it answers: bounded pieces of segments, the same for lanes and threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import msgspec

from scribewire.core.words import Word
from scribewire.engines.base import PLAIN, Engine, Options, Outcome, Stream


class Quantum(msgspec.Struct, frozen=True, tag=True):
    """A piece of one segment. `begin` is the segment's first sample, when it is to begin; `finish` ends it."""

    begin: int | None
    windows: list[bytes]
    finish: bool = False


class Decoded(msgspec.Struct, frozen=True, tag=True):
    """What a quantum came to. `words` and `resume` are those of a finished segment; `again` asks for all of it anew."""

    cpu_s: float
    again: bool = False
    partial: tuple[str, ...] = ()
    words: tuple[Word, ...] | None = None
    resume: bytes = b""


class Decoder(ABC):
    """One stream's decoding state, wherever it lives. `on_loss` is called when it dies where that can be seen."""

    on_loss: Callable[[], None] | None = None

    @abstractmethod
    def close(self) -> None:
        """Give it back. Twice is once."""


class Decoders(ABC):
    """All decoders of one choice of engine and model.

    `batch` is the most of them that are worth one `decode`, `piece_windows` the most windows that a quantum may hold.
    `apart` says that they run in processes of their own, whose CPU time is not the worker's; `windowed`, that they
    decode a growing window anew, now and then.
    """

    batch: int
    piece_windows: int
    apart: bool
    windowed: bool = False

    @abstractmethod
    async def load(self) -> None:
        """Load the engine. Once, before anything else.

        Raises EngineMissing or EngineFailed.
        """

    @abstractmethod
    async def open(self, resume: bytes = b"", options: Options = PLAIN) -> Decoder:
        """Give a decoder, fresh or at the state of `Decoded.resume`.

        Raises EngineFailed when there is none to be had in time.
        """

    @abstractmethod
    async def decode(self, work: Sequence[tuple[Decoder, Quantum]]) -> list[Decoded]:
        """Decode one quantum of each of some decoders, none of which is decoding already.

        Raises EngineFailed; none of these decoders may be used then but to close it.
        """

    @abstractmethod
    async def close(self) -> None:
        """Free everything."""


def decode_all(engine: Engine, work: Sequence[tuple[Stream, Quantum]], cpu_clock: Callable[[], float]) -> list[Decoded]:
    """Put quanta through an engine, in one step; the CPU time is shared out evenly."""
    began = cpu_clock()
    for stream, quantum in work:
        if quantum.begin is not None:
            stream.begin(quantum.begin)
        for window in quantum.windows:
            stream.accept(window)
    if engine.traits.windowed:
        # To decode a window once more costs as much as its end, which decodes all of it anyway.
        stepping = [stream for stream, quantum in work if not quantum.finish]
    else:
        stepping = [stream for stream, _ in work]
    outcomes = dict(zip(map(id, stepping), engine.step(stepping), strict=True)) if stepping else {}
    answers = [_answer(stream, quantum, outcomes.get(id(stream), Outcome.ON)) for stream, quantum in work]
    cpu_s = (cpu_clock() - began) / len(work)
    return [msgspec.structs.replace(answer, cpu_s=cpu_s) for answer in answers]


def _answer(stream: Stream, quantum: Quantum, outcome: Outcome) -> Decoded:
    if outcome is Outcome.AGAIN:
        return Decoded(0.0, again=True)
    if not quantum.finish:
        return Decoded(0.0, partial=stream.partial())
    words = stream.finish()
    if isinstance(words, Outcome):
        return Decoded(0.0, again=True)
    return Decoded(0.0, words=words, resume=stream.resume())
