"""PocketSphinx with the US English model of its wheel: two search profiles, a cepstral mean learnt once a session.

Live cepstral mean normalisation starts from a guess that weighs five seconds, so short utterances are decoded with a
wrong mean. Two things mend it: a prior measured on speech, and marks in the first two seconds of the session's speech,
at which that prior is moved towards the mean heard so far. Where the first mark finds it far away, the segment is
decoded again from its beginning; the later ones only refine it, and all segments after them begin with what they left.
"""

from __future__ import annotations

import re
import struct
import warnings
from array import array
from bisect import bisect
from collections.abc import Sequence
from math import dist
from operator import add
from typing import Any, Final, NamedTuple

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES, WINDOW_SAMPLES
from scribewire.core.words import Word
from scribewire.engines.base import PLAIN, Engine, Options, Outcome, Setup, Stream, Traits
from scribewire.errors import EngineFailed, EngineMissing

Mean = tuple[float, ...]

# The cepstral mean of the development clips alone, 13 coefficients; it takes ten points off the word error rate.
PRIOR: Final[Mean] = (57.86, 6.42, 1.77, 7.19, -10.30, -1.38, -9.74, -2.67, -1.55, -1.62, -0.44, -1.72, 4.58)
# After so much of the session's speech its mean is taken again: half a second, one and two. The first alone is decoded
# anew, while little is lost by it; without the second and third that costs a point of word errors, and taking the mean
# at every quarter of a second one as well. A first segment that ends before is taken for what it is: at their own level
# that gains nothing, 10 dB lower even a quarter of a second takes .42 to .26.
MARKS_BYTES: Final = (16 * WINDOW_BYTES, 32 * WINDOW_BYTES, 64 * WINDOW_BYTES)
# Frames that the prior weighs against the frames heard; 70 costs half a point to two.
PRIOR_FRAMES: Final = 35
# The weight, in frames, that the library itself gives to a mean that it was set to (CMN_WIN in cmn.h).
SET_MEAN_FRAMES: Final = 500
# Euclidean, between prior and first mean heard: closer than this the words were the same; 15 costs up to .7 points.
# Most voices lie 20 away, so most sessions decode their first half second twice.
AGAIN_DISTANCE: Final = 12.0
# Soft noise before every segment. Speech that begins at once, where a stream does, has no pre-roll; but the language
# model wants a silence before the first word, and noise removal takes its first frame for the noise. Without it two
# points are lost, more where the mean is not learnt. 2 to 8 windows differ by chance only, at most 1.6 points.
# Not zeros, whose frames the library leaves as they are when it subtracts the mean.
LEAD_IN_WINDOWS: Final = 4
LEAD_IN_LEVEL: Final = 17
# Low rather than white, as silent rooms are and so the model's silence: the search is sure of it at once, and follows a
# quarter of the words' beginnings that it follows through white noise, for no more errors.
LEAD_IN_DECAY_SAMPLES: Final = 8

FRAME_SAMPLES: Final = 160
FRAME_SPAN_SAMPLES: Final = 410

# The flat second pass blocks for half a second at every end and gains nothing once the mean is right; the best path
# through the lattice gives words their posteriors. Phones are looked ahead for in the next frame alone, where the
# library takes the best of the next five: it enters fewer of them, searches a fifth less for it, and errs no more.
COMMON: Final[dict[str, Any]] = {"fwdflat": False, "bestpath": True, "pl_window": 1}
# maxhmmpf is the knob that trades errors for time. In fast, 2500 spares a twelfth for two points; in quality, 3500
# costs a point and 5000 costs a tenth for nothing. Beams of 1e-60 there, not the library's own, gain half a point for a
# fifth.
PROFILES: Final[dict[str, dict[str, Any]]] = {
    "fast": {"maxhmmpf": 3000, "wbeam": 1e-16},
    "quality": {"maxhmmpf": 4000},
}

_VARIANT: Final = re.compile(r"\(\d+\)$")
_FILLERS: Final = ("<", "[", "++")
_PACKED: Final = struct.Struct(f"<2q{len(PRIOR)}d")


def _soft_noise(windows: int) -> list[bytes]:
    # The generator that the C standard prints as an example (ISO 9899, 7.22.2): alike everywhere, for ever.
    samples, state, level = array("h"), 1, 0
    for _ in range(windows * WINDOW_SAMPLES):
        state = (state * 1_103_515_245 + 12_345) % 2**31
        level -= level // LEAD_IN_DECAY_SAMPLES
        level += (state >> 16) % (2 * LEAD_IN_LEVEL + 1) - LEAD_IN_LEVEL
        samples.append(level)
    pcm = samples.tobytes()
    return [pcm[at : at + WINDOW_BYTES] for at in range(0, len(pcm), WINDOW_BYTES)]


_LEAD_IN: Final = _soft_noise(LEAD_IN_WINDOWS)


class Spoken(NamedTuple):
    """One word of a segment, in samples from its beginning."""

    text: str
    start_samples: int
    end_samples: int
    confidence: float


class Heard(NamedTuple):
    """What the mean of a session is taken from: so much of its speech, and the sums of that many frames' cepstra."""

    speech_bytes: int = 0
    frames: int = 0
    sums: Mean = (0.0,) * len(PRIOR)

    @property
    def mean(self) -> Mean:
        """Give the prior moved towards the mean of these frames."""
        weight = PRIOR_FRAMES + self.frames
        return tuple((PRIOR_FRAMES * prior + heard) / weight for prior, heard in zip(PRIOR, self.sums, strict=True))

    @property
    def marks(self) -> int:
        """Count the marks that were reached."""
        return bisect(MARKS_BYTES, self.speech_bytes)

    def longer(self, speech_bytes: int) -> Heard:
        """Give the same after more speech, which counts up to the last mark."""
        return self._replace(speech_bytes=min(self.speech_bytes + speech_bytes, MARKS_BYTES[-1]))

    def of(self, frames: int, sums: Mean) -> Heard:
        """Give the same with more frames."""
        return Heard(self.speech_bytes, self.frames + frames, tuple(map(add, self.sums, sums)))

    def pack(self) -> bytes:
        return _PACKED.pack(self.speech_bytes, self.frames, *self.sums)


def _unpack(state: bytes) -> Heard:
    # What another version packed counts as nothing: the mean is learnt anew.
    if len(state) != _PACKED.size:
        return Heard()
    speech_bytes, frames, *sums = _PACKED.unpack(state)
    return Heard(speech_bytes, frames, tuple(sums))


class Recogniser:
    """The C decoder. Decodes for one owner at a time."""

    def __init__(self, library: Any, profile: dict[str, Any]) -> None:
        self._decoder = library.Decoder(**COMMON, **profile, cmninit=_spell(PRIOR), loglevel="FATAL")
        self._owner: object | None = None
        # Of the open utterance, lead-in included; and how many of its frames came before the mean was set last.
        self._samples = 0
        self._mean = PRIOR
        self._frames_before = 0

    def begin(self, owner: object, mean: Mean) -> None:
        """Start an utterance; an open one of the same owner is abandoned.

        Raises EngineFailed while another's is open.
        """
        if self._owner not in (None, owner):
            raise EngineFailed("PocketSphinx decodes one stream at a time.")
        self.end(owner)
        _forget_noise(self._decoder)
        self._samples = 0
        self.set_mean(mean)
        self._decoder.start_utt()
        self._owner = owner
        for pcm in _LEAD_IN:
            self.decode(pcm)

    def decode(self, pcm: bytes) -> None:
        self._decoder.process_raw(pcm)
        self._samples += len(pcm) // SAMPLE_BYTES

    def set_mean(self, mean: Mean) -> None:
        """Take this mean from the next frame on."""
        self._decoder.set_cmn(_spell(mean))
        self._mean = mean
        self._frames_before = self._frames

    def heard(self) -> tuple[int, Mean]:
        """Give how many frames were heard since the mean was set, and the sums of their cepstra.

        Moves the mean, so it is to be set, or the utterance to be ended, before more is decoded.
        """
        now = [float(number) for number in self._decoder.get_cmn(update=True).split(",")]
        frames = self._frames - self._frames_before
        # What is read is the mean of these frames and of SET_MEAN_FRAMES times the one that was set.
        weight = SET_MEAN_FRAMES + frames
        return frames, tuple(weight * n - SET_MEAN_FRAMES * was for n, was in zip(now, self._mean, strict=True))

    @property
    def _frames(self) -> int:
        return max(0, 1 + (self._samples - FRAME_SPAN_SAMPLES) // FRAME_SAMPLES)

    def partial(self) -> str:
        best = self._decoder.hyp()
        return best.hypstr if best else ""

    def end(self, owner: object) -> None:
        """End the owner's utterance, if one is open; `words` may be asked for until the next."""
        if self._owner is owner:
            self._decoder.end_utt()
            self._owner = None

    def words(self) -> list[Spoken]:
        """Give the words of the utterance that ended last."""
        if self._decoder.hyp() is None:
            return []
        lead_in = LEAD_IN_WINDOWS * WINDOW_SAMPLES
        return [
            Spoken(
                _VARIANT.sub("", segment.word),
                max(segment.start_frame * FRAME_SAMPLES - lead_in, 0),
                max((segment.end_frame + 1) * FRAME_SAMPLES - lead_in, 0),
                min(segment.prob, 1.0),
            )
            for segment in self._decoder.seg()
            if not segment.word.startswith(_FILLERS)
        ]


class PocketSphinxStream(Stream):
    """One session's mean, and its open segment."""

    def __init__(self, recogniser: Recogniser, resume: bytes) -> None:
        self._recogniser = recogniser
        # Up to the end of the last segment, and in the open one.
        self._kept = self._heard = _unpack(resume)
        # What the next segment begins with.
        self._mean = self._kept.mean
        self._knows_voice = self._kept.frames > 0
        self._first_sample = 0
        self._pending: list[bytes] = []
        self._accepted_bytes = 0

    def begin(self, first_sample: int) -> None:
        self._recogniser.begin(self, self._mean)
        self._heard = self._kept
        self._first_sample = first_sample
        self._pending.clear()
        self._accepted_bytes = 0

    def accept(self, pcm: bytes) -> None:
        self._pending.append(pcm)
        self._accepted_bytes += len(pcm)

    def step(self) -> Outcome:
        """Decode what was accepted."""
        for pcm in self._pending:
            self._recogniser.decode(pcm)
            marks = self._heard.marks
            self._heard = self._heard.longer(len(pcm))
            if self._heard.marks > marks and self._learn() is Outcome.AGAIN:
                return Outcome.AGAIN
        self._pending.clear()
        return Outcome.ON

    def partial(self) -> tuple[str, ...]:
        return tuple(self._recogniser.partial().split())

    def finish(self) -> tuple[Word, ...] | Outcome:
        if self.step() is Outcome.AGAIN:
            return Outcome.AGAIN
        if self._heard.marks < len(MARKS_BYTES) and self._learn() is Outcome.AGAIN:
            return Outcome.AGAIN
        self._kept, self._mean = self._heard, self._heard.mean
        self._recogniser.end(self)
        first, end = self._first_sample, self._accepted_bytes // SAMPLE_BYTES
        return tuple(
            Word(word.text, first + word.start_samples, first + min(word.end_samples, end), word.confidence)
            for word in self._recogniser.words()
        )

    def resume(self) -> bytes:
        return self._kept.pack() if self._kept.frames else b""

    def close(self) -> None:
        self._recogniser.end(self)

    def _learn(self) -> Outcome:
        """Take the mean of what was heard so far; the first time say whether it is worth to begin again with it."""
        self._heard = self._heard.of(*self._recogniser.heard())
        mean = self._heard.mean
        knew_voice, self._knows_voice = self._knows_voice, True
        if not knew_voice and dist(mean, PRIOR) > AGAIN_DISTANCE:
            self._mean = mean
            return Outcome.AGAIN
        self._recogniser.set_mean(mean)
        return Outcome.ON


class PocketSphinxEngine(Engine):
    """One decoder, so one stream at a time has an open segment: a worker forks a process for each of its streams."""

    traits = Traits(languages=("en",))

    def __init__(self, setup: Setup) -> None:
        """Take the profile that the model names.

        Raises EngineMissing when there is none of that name.
        """
        if setup.model not in PROFILES:
            raise EngineMissing(f"PocketSphinx has no profile {setup.model!r}: use {' or '.join(PROFILES)}.")
        self._profile = PROFILES[setup.model]
        self._recogniser: Recogniser | None = None

    def load(self) -> None:
        try:
            import pocketsphinx
        except ImportError as error:
            raise EngineMissing("PocketSphinx is not installed: pip install 'scribewire[server]'.") from error
        self._recogniser = Recogniser(pocketsphinx, self._profile)

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> PocketSphinxStream:
        assert self._recogniser is not None, "load comes first"
        return PocketSphinxStream(self._recogniser, resume)

    def step(self, streams: Sequence[Stream]) -> list[Outcome]:
        outcomes = []
        for stream in streams:
            assert isinstance(stream, PocketSphinxStream), "a stream of another engine"
            outcomes.append(stream.step())
        return outcomes

    def close(self) -> None:
        self._recogniser = None


def _spell(mean: Mean) -> str:
    return ",".join(f"{number:.4f}" for number in mean)


def _forget_noise(decoder: Any) -> None:
    # The model's own parameters switch noise removal on, and what it learnt of one stream would be taken off the next:
    # this call, deprecated as unnecessary, is the only one that undoes it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        decoder.start_stream()
