"""The engine contract: what a recogniser promises, and what it is told in return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Literal

from scribewire.core.words import Word

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What an engine is built from: the model as its choice spells it, where pulled models are, what to compute on."""

    model: str
    models_dir: Path = Path("models")
    device: Device = "cpu"


@dataclass(frozen=True, slots=True)
class Options:
    """What one session asks of its stream.

    `language` is the configured tag that serves it; `vocabulary` are words and phrases to expect. What the traits do
    not promise is ignored.
    """

    language: str = ""
    vocabulary: tuple[str, ...] = ()


PLAIN: Final = Options()


@dataclass(frozen=True, slots=True)
class Traits:
    """What an engine is like; the worker chooses threads or lanes by it.

    `languages` are lower-case tags; where it is empty, they depend on the model. `detects_language` says that a stream
    of the language `auto` finds out by itself, `vocabulary` that expected words are minded. `releases_gil` says that
    decoding runs beside other Python threads; an engine that holds the GIL gets a process per stream. `batch` is the
    most streams that one `step` decodes together. `own_threads` says that the library computes in threads of its own,
    so that the CPU time of the thread that calls it tells nothing. `punctuates` says that words carry case and
    punctuation.
    """

    languages: tuple[str, ...]
    sample_rate_hz: int = 16_000
    windowed: bool = False
    releases_gil: bool = False
    word_times: bool = True
    confidence: bool = True
    batch: int = 1
    vocabulary: bool = False
    detects_language: bool = False
    own_threads: bool = False
    punctuates: bool = False


class Outcome(Enum):
    """What a step did to a segment."""

    ON = "on"
    AGAIN = "again"  # the engine wants the segment from its first sample again; what it said of it is void


class Stream(ABC):
    """One session's decoding state inside an engine: segments, one after the other.

    Order: `begin`, then any number of `accept` + `Engine.step` (with `partial` after any of them), then `finish`;
    then `begin` again, or `close`. `begin` in an open segment abandons it. Nothing but `close` may follow a failure.
    Every segment begins from a stated state: `begin` with the same `resume` and the same audio gives the same words,
    whatever was decoded before, so that a segment can be decoded again in another process.
    """

    @abstractmethod
    def begin(self, first_sample: int) -> None:
        """Open a segment whose first sample stands at `first_sample` of the session's audio."""

    @abstractmethod
    def accept(self, pcm: bytes) -> None:
        """Take more of the open segment: s16le mono at the engine's rate, a whole window or the segment's shorter last.

        Keeps it for the next `step`; cheap.
        """

    @abstractmethod
    def partial(self) -> tuple[str, ...]:
        """Give the words of the open segment so far; empty when there are none. Cheap, changes nothing."""

    @abstractmethod
    def finish(self) -> tuple[Word, ...] | Outcome:
        """End the segment after all that was accepted and give its words, in order, times absolute.

        Decodes what is still pending. `Outcome.AGAIN` asks for the whole segment once more instead.
        """

    @abstractmethod
    def resume(self) -> bytes:
        """Give the state from which the next segment begins: opaque, at most 1.5 KiB. Asked between segments."""

    @abstractmethod
    def close(self) -> None:
        """Free the state. Twice is once."""


class Engine(ABC):
    """A loaded recogniser. One thread at a time, unless its traits say that it releases the GIL."""

    traits: Traits

    @abstractmethod
    def __init__(self, setup: Setup) -> None:
        """Take what it is built from, and load nothing yet.

        Raises EngineMissing with the command that mends it, or BadSettings, when `setup` asks for what there is not.
        """

    @abstractmethod
    def load(self) -> None:
        """Load models. Once, before anything else.

        Raises EngineMissing with the command that mends it when a library or a model is not there.
        """

    @abstractmethod
    def open(self, resume: bytes = b"", options: Options = PLAIN) -> Stream:
        """Open a stream, fresh or at the state that `Stream.resume` gave, here or in another process."""

    @abstractmethod
    def step(self, streams: Sequence[Stream]) -> list[Outcome]:
        """Decode all that these streams accepted, in one call where the engine can. One outcome a stream."""

    @abstractmethod
    def close(self) -> None:
        """Free everything. Streams of it must not be used afterwards."""
