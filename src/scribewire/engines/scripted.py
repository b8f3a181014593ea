"""The scripted engine: its words are a function of the audio alone, so that a lost or doubled sample shows.

A pure tone (see tones.py) is a word, from the first to the last 10 ms frame that holds nothing else; all other sound
is nothing. Frames stand at multiples of 160 samples of the session, wherever a segment begins. The form `bands` says
the same in words of its own, so that it shows which of two engines spoke.
"""

from __future__ import annotations

import hashlib
import math
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul
from typing import Final, Literal, get_args

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
from scribewire.core.words import Word
from scribewire.engines.base import PLAIN, Engine, Options, Outcome, Setup, Stream, Traits
from scribewire.errors import BadSettings, EngineFailed
from scribewire.tones import LOWEST_HZ, SPACING_HZ, VOCABULARY

FRAME_SAMPLES: Final = 160
# 60 ms: half of the shortest word that is promised to be heard, whose edges may fall into frames of their own.
SHORTEST_FRAMES: Final = 6
# Share of a frame's energy that one sine explains, above which the frame is that tone. Noise and voices stay below.
PURITY: Final = 0.98
# Mean square of a frame, of 32,768 squared, below which it is silence.
SILENT_POWER: Final = 100.0**2
BATCH: Final = 8
# Turns of PBKDF2, for which hashlib lets go of the GIL: to measure their rate by (some 10 ms), and at a time (0.05 ms).
_MEASURED_TURNS: Final = 20_000
_LAST_TURNS: Final = 100
# Of a cost that is burned in one call; the rest in small ones, for what the measured rate may be wrong by.
_AT_ONCE: Final = 0.9


Form = Literal["words", "bands", "null", "broken"]
FORMS: Final[dict[str, Form]] = {form: form for form in get_args(Form)}


@dataclass(frozen=True, slots=True)
class Script:
    """What a model string asks for: `<form>[,cost=<CPU seconds per second of audio>][,gil=hold|release]`.

    The cost is the whole of it: hearing tones is a part.
    """

    form: Form = "words"
    cost: float = 0.0
    holds_gil: bool = False

    def burn(self, began: float, heard_samples: int) -> None:
        """Use up what some audio costs, counted from a time of this thread's CPU clock."""
        if self.cost:
            _burn(began + self.cost * heard_samples / SAMPLE_RATE_HZ, holds_gil=self.holds_gil)


def parse_script(model: str) -> Script:
    """Read a model string; an empty one is `words`.

    Raises BadSettings when it asks for what there is not.
    """
    form, *options = (model or "words").split(",")
    chosen = dict(option.partition("=")[::2] for option in options)
    gil = chosen.pop("gil", "release")
    try:
        cost = float(chosen.pop("cost", "0"))
    except ValueError:
        cost = math.nan
    if form not in FORMS or gil not in ("hold", "release") or not 0 <= cost <= 10 or chosen:
        raise BadSettings(
            f"The scripted engine knows no model {model!r}: "
            "use words, bands, null or broken, then cost=<0…10> and gil=hold|release."
        )
    return Script(FORMS[form], cost, gil == "hold")


class ScriptedEngine(Engine):
    """Loads nothing and hears tones."""

    def __init__(self, setup: Setup) -> None:
        self._script = parse_script(setup.model)
        releases = not self._script.holds_gil
        self.traits = Traits(languages=("en",), releases_gil=releases, batch=BATCH if releases else 1)

    def load(self) -> None:
        """Measure how fast this machine burns; the form `broken` breaks."""
        if self._script.form == "broken":
            raise EngineFailed("The scripted engine was told to break.")
        _turns_a_s()

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> ScriptedStream:
        return ScriptedStream(self._script)

    def step(self, streams: Sequence[Stream]) -> list[Outcome]:
        began, heard_samples = time.thread_time(), 0
        for stream in streams:
            assert isinstance(stream, ScriptedStream), "a stream of another engine"
            heard_samples += stream.hear()
        self._script.burn(began, heard_samples)
        return [Outcome.ON] * len(streams)

    def close(self) -> None:
        """Do nothing: nothing is held."""


@dataclass(slots=True)
class _Run:
    """Frames in a row of one tone."""

    band: int
    text: str
    first_frame: int
    frames: int = 0
    purity: float = 0.0

    @property
    def word(self) -> Word:
        first, end = self.first_frame, self.first_frame + self.frames
        return Word(self.text, first * FRAME_SAMPLES, end * FRAME_SAMPLES, min(1.0, self.purity / self.frames))


class ScriptedStream(Stream):
    """Counts frames of tones. Nothing of one segment reaches the next."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._pending = bytearray()
        self._position = 0
        self._runs: list[_Run] = []

    def begin(self, first_sample: int) -> None:
        self._pending.clear()
        self._position = first_sample
        self._runs.clear()

    def accept(self, pcm: bytes) -> None:
        self._pending += pcm

    def hear(self) -> int:
        """Hear the whole frames that were accepted; give their samples, which are to be paid for."""
        before = self._position
        while len(self._pending) >= (size := self._frame_bytes()):
            self._hear(array("h", bytes(self._pending[:size])))
            del self._pending[:size]
            self._position += size // SAMPLE_BYTES
        return self._position - before

    def partial(self) -> tuple[str, ...]:
        return tuple(run.text for run in self._heard())

    def finish(self) -> tuple[Word, ...]:
        began = time.thread_time()
        self._script.burn(began, self.hear())
        return tuple(run.word for run in self._heard())

    def resume(self) -> bytes:
        return b""

    def close(self) -> None:
        self._runs.clear()

    def _frame_bytes(self) -> int:
        # A segment may begin within a frame; what is left of it is heard as a shorter one.
        return (FRAME_SAMPLES - self._position % FRAME_SAMPLES) * SAMPLE_BYTES

    def _hear(self, samples: array[int]) -> None:
        if self._script.form == "null" or len(samples) < FRAME_SAMPLES:
            return
        band, purity = hear_tone(samples)
        if band is None:
            return
        frame = self._position // FRAME_SAMPLES
        last = self._runs[-1] if self._runs else None
        if last is None or last.band != band or frame != last.first_frame + last.frames:
            last = _Run(band, f"band{band}" if self._script.form == "bands" else VOCABULARY[band], frame)
            self._runs.append(last)
        last.frames += 1
        last.purity += purity

    def _heard(self) -> list[_Run]:
        return [run for run in self._runs if run.frames >= SHORTEST_FRAMES]


def hear_tone(samples: array[int]) -> tuple[int | None, float]:
    """Give which word's tone fills some samples, if any, and how purely, 0…1.

    Of a sine x(n-1) + x(n+1) = 2 cos(w) x(n): the regression gives the frequency w, its correlation the purity.
    """
    inner = samples[1:-1]
    around = [before + after for before, after in zip(samples, samples[2:], strict=False)]
    power = sum(map(mul, inner, inner))
    around_power = sum(map(mul, around, around))
    if power < SILENT_POWER * len(inner) or not around_power:
        return None, 0.0
    product = sum(map(mul, inner, around))
    purity = product * product / (power * around_power)
    if purity < PURITY:
        return None, 0.0
    hz = math.acos(max(-1.0, min(1.0, product / (2 * power)))) * SAMPLE_RATE_HZ / (2 * math.pi)
    band = round((hz - LOWEST_HZ) / SPACING_HZ)
    is_near = abs(hz - LOWEST_HZ - band * SPACING_HZ) < SPACING_HZ / 4
    return (band, purity) if is_near and 0 <= band < len(VOCABULARY) else (None, 0.0)


def _burn(end: float, *, holds_gil: bool) -> None:
    left_s = end - time.thread_time()
    if left_s > 0 and not holds_gil:
        # In one call, as native engines decode: who comes back for the GIL all the time waits for it all the time.
        hashlib.pbkdf2_hmac("sha256", b"", b"", max(1, int(_AT_ONCE * left_s * _turns_a_s())))
    while time.thread_time() < end:
        if holds_gil:
            sum(range(2000))
        else:
            hashlib.pbkdf2_hmac("sha256", b"", b"", _LAST_TURNS)


@cache
def _turns_a_s() -> float:
    began = time.thread_time()
    hashlib.pbkdf2_hmac("sha256", b"", b"", _MEASURED_TURNS)
    return _MEASURED_TURNS / (time.thread_time() - began)
