"""An engine that hears claps: every burst of loud sound is the word "clap"."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from scribewire.core.audio import SAMPLE_BYTES
from scribewire.core.words import Word
from scribewire.engines.base import PLAIN, Engine, Options, Outcome, Setup, Stream, Traits
from scribewire.errors import BadSettings

FRAME_SAMPLES = 160
LOUDEST = 32_768


class ClapsEngine(Engine):
    """`claps:<level>` hears whatever is louder than the level, 1…32767."""

    # Pure Python holds the GIL, so every stream gets a process of its own.
    traits = Traits(languages=("en", "de", "fr"), releases_gil=False)

    def __init__(self, setup: Setup) -> None:
        if not setup.model.isdecimal() or not 0 < int(setup.model) < LOUDEST:
            raise BadSettings(f"The claps engine knows no level {setup.model!r}: use 1 to {LOUDEST - 1}.")
        self._level = int(setup.model)

    def load(self) -> None:
        """Do nothing; an engine with a model would read it here."""

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> ClapsStream:
        return ClapsStream(self._level)

    def step(self, streams: Sequence[Stream]) -> list[Outcome]:
        for stream in streams:
            assert isinstance(stream, ClapsStream)
            stream.hear()
        return [Outcome.ON] * len(streams)

    def close(self) -> None:
        """Do nothing: nothing is held."""


class ClapsStream(Stream):
    """Frame by frame: does a burst begin, go on or end?"""

    def __init__(self, level: int) -> None:
        self._level = level
        self.begin(0)

    def begin(self, first_sample: int) -> None:
        self._sample = first_sample
        self._pending = bytearray()
        self._claps: list[Word] = []
        self._loud = False

    def accept(self, pcm: bytes) -> None:
        self._pending += pcm

    def hear(self) -> None:
        """Decode the whole frames of what was accepted."""
        size = FRAME_SAMPLES * SAMPLE_BYTES
        while len(self._pending) >= size:
            peak = max(map(abs, array("h", bytes(self._pending[:size]))))
            del self._pending[:size]
            start, self._sample = self._sample, self._sample + FRAME_SAMPLES
            was_loud, self._loud = self._loud, peak > self._level
            if not self._loud:
                continue
            if was_loud:
                clap = self._claps.pop()
                start, peak = clap.start_sample, max(peak, round(clap.confidence * LOUDEST))
            self._claps.append(Word("clap", start, self._sample, min(1.0, peak / LOUDEST)))

    def partial(self) -> tuple[str, ...]:
        return tuple(clap.text for clap in self._claps)

    def finish(self) -> tuple[Word, ...]:
        self.hear()
        return tuple(self._claps)

    def resume(self) -> bytes:
        return b""

    def close(self) -> None:
        """Do nothing: nothing is held."""
