"""PocketSphinx with the US English model of its wheel: two search profiles, a cepstral mean primed once a session.

Live cepstral mean normalisation starts from a guess that weighs five seconds, so short utterances are decoded with a
wrong mean. Two things mend it: a prior measured on speech, and priming, which moves that prior towards the mean of the
first second of the session's speech. The first segment is decoded with the prior at once, and again when the primed
mean turns out to lie far from it; later segments begin from the session's mean.
"""

from __future__ import annotations

import re
import struct
import warnings
from array import array
from collections.abc import Sequence
from math import dist
from typing import Any, Final, NamedTuple

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES, WINDOW_SAMPLES
from scribewire.core.events import Word
from scribewire.engines.base import PLAIN, Engine, Options, Outcome, Setup, Stream, Traits
from scribewire.errors import EngineFailed, EngineMissing

Mean = tuple[float, ...]

# The cepstral mean of the development clips alone, 13 coefficients; it takes ten points off the word error rate.
PRIOR: Final[Mean] = (57.86, 6.42, 1.77, 7.19, -10.30, -1.38, -9.74, -2.67, -1.55, -1.62, -0.44, -1.72, 4.58)
# How much of the first segment its mean is taken from: a second. On the development clips half a second costs two or
# three points of word errors, 1.3 s one. A shorter first segment is primed on what there is: at their own level that
# gains nothing, 10 dB lower even a quarter of a second takes .42 to .26.
PRIMING_BYTES: Final = 32 * WINDOW_BYTES
# Frames that the prior weighs against the frames heard; 70 costs half a point to two.
PRIOR_FRAMES: Final = 35
# The weight, in frames, that the library itself gives to a mean that it was set to (CMN_WIN in cmn.h).
SET_MEAN_FRAMES: Final = 500
# Euclidean, between prior and primed mean: closer than this the words were the same; 15 costs up to .7 points. Most
# voices lie 20 away, so most sessions decode their first second twice.
AGAIN_DISTANCE: Final = 12.0
# Soft noise before every segment. Speech that begins at once, where a stream does, has no pre-roll; but the language
# model wants a silence before the first word, and noise removal takes its first frame for the noise. Without it two
# points are lost, more where the mean is not primed. 2 to 8 windows differ by chance only, at most 1.6 points.
# Not zeros, whose frames the library leaves as they are when it subtracts the mean.
LEAD_IN_WINDOWS: Final = 4
LEAD_IN_LEVEL: Final = 17

FRAME_SAMPLES: Final = 160
FRAME_SPAN_SAMPLES: Final = 410

# The flat second pass blocks for half a second at every end and gains nothing once the mean is right; the best path
# through the lattice gives words their posteriors.
COMMON: Final[dict[str, Any]] = {"fwdflat": False, "bestpath": True}
# maxhmmpf is the knob that trades errors for time; narrower beams cost more than they spare. In fast, 2000 spares a
# tenth and costs a point; in quality, 5000 costs a tenth and gains nothing. A look-ahead of 3 frames, not 5, spares a
# fifteenth and changes a word or two.
PROFILES: Final[dict[str, dict[str, Any]]] = {
    "fast": {"maxhmmpf": 3000, "wbeam": 1e-16, "pl_window": 3},
    "quality": {"maxhmmpf": 4000, "beam": 1e-60, "pbeam": 1e-60, "pl_window": 3},
}

_VARIANT: Final = re.compile(r"\(\d+\)$")
_FILLERS: Final = ("<", "[", "++")
_PACKED: Final = struct.Struct(f"<{len(PRIOR)}d")


def _soft_noise(windows: int) -> list[bytes]:
    # The generator that the C standard prints as an example (ISO 9899, 7.22.2): alike everywhere, for ever.
    samples, state = array("h"), 1
    for _ in range(windows * WINDOW_SAMPLES):
        state = (state * 1_103_515_245 + 12_345) % 2**31
        samples.append((state >> 16) % (2 * LEAD_IN_LEVEL + 1) - LEAD_IN_LEVEL)
    pcm = samples.tobytes()
    return [pcm[at : at + WINDOW_BYTES] for at in range(0, len(pcm), WINDOW_BYTES)]


_LEAD_IN: Final = _soft_noise(LEAD_IN_WINDOWS)


class Spoken(NamedTuple):
    """One word of a segment, in samples from its beginning."""

    text: str
    start_samples: int
    end_samples: int
    confidence: float


class Recogniser:
    """The C decoder and a small one that measures means. Decodes for one owner at a time."""

    def __init__(self, library: Any, profile: dict[str, Any]) -> None:
        self._decoder = library.Decoder(**COMMON, **profile, cmninit=_spell(PRIOR), loglevel="FATAL")
        # A one-word grammar: it costs 10 ms a second of audio to get the mean here, 75 ms in the large decoder, which
        # searches at the end of the utterance what it was told not to search.
        self._meter = library.Decoder(lm=None, dict=None, loglevel="FATAL", pl_window=0)
        self._meter.add_word("a", "AH", update=True)
        self._meter.add_jsgf_string("a", b"#JSGF V1.0; grammar a; public <a> = a;")
        self._meter.activate_search("a")
        self._owner: object | None = None

    def begin(self, owner: object, mean: Mean) -> None:
        """Start an utterance; an open one of the same owner is abandoned.

        Raises EngineFailed while another's is open.
        """
        if self._owner not in (None, owner):
            raise EngineFailed("PocketSphinx decodes one stream at a time.")
        self.end(owner)
        decoder = self._decoder
        _forget_noise(decoder)
        decoder.set_cmn(_spell(mean))
        decoder.start_utt()
        self._owner = owner
        for pcm in _LEAD_IN:
            decoder.process_raw(pcm)

    def decode(self, pcm: bytes) -> None:
        self._decoder.process_raw(pcm)

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

    def measure(self, pcm: bytes) -> Mean:
        """Give the prior moved towards the cepstral mean of `pcm`, as it is decoded: after the lead-in."""
        pcm = b"".join(_LEAD_IN) + pcm
        frames = 1 + (len(pcm) // SAMPLE_BYTES - FRAME_SPAN_SAMPLES) // FRAME_SAMPLES
        meter = self._meter
        _forget_noise(meter)
        meter.set_cmn(_spell(PRIOR))
        meter.start_utt()
        meter.process_raw(pcm, no_search=True)
        heard = [float(number) for number in meter.get_cmn(update=True).split(",")]
        meter.end_utt()
        # What is read weighs the prior with SET_MEAN_FRAMES; it is to weigh PRIOR_FRAMES.
        share = (SET_MEAN_FRAMES + frames) / (PRIOR_FRAMES + frames)
        return tuple(prior + (number - prior) * share for prior, number in zip(PRIOR, heard, strict=True))


class PocketSphinxStream(Stream):
    """One session's mean, and its open segment."""

    def __init__(self, recogniser: Recogniser, resume: bytes) -> None:
        self._recogniser = recogniser
        self._primed = bool(resume)
        self._mean: Mean = _PACKED.unpack(resume) if resume else PRIOR
        self._first_sample = 0
        self._pending: list[bytes] = []
        self._accepted_bytes = 0
        # The beginning of the first segment, kept until it is primed on.
        self._opening = bytearray()

    def begin(self, first_sample: int) -> None:
        self._recogniser.begin(self, self._mean)
        self._first_sample = first_sample
        self._pending.clear()
        self._opening.clear()
        self._accepted_bytes = 0

    def accept(self, pcm: bytes) -> None:
        self._pending.append(pcm)
        self._accepted_bytes += len(pcm)
        if not self._primed:
            self._opening += pcm

    def step(self) -> Outcome:
        """Decode what was accepted."""
        if len(self._opening) >= PRIMING_BYTES and self._prime() is Outcome.AGAIN:
            return Outcome.AGAIN
        for pcm in self._pending:
            self._recogniser.decode(pcm)
        self._pending.clear()
        return Outcome.ON

    def partial(self) -> tuple[str, ...]:
        return tuple(self._recogniser.partial().split())

    def finish(self) -> tuple[Word, ...] | Outcome:
        if self._opening and self._prime() is Outcome.AGAIN:
            return Outcome.AGAIN
        if self.step() is Outcome.AGAIN:
            return Outcome.AGAIN
        self._recogniser.end(self)
        first, end = self._first_sample, self._accepted_bytes // SAMPLE_BYTES
        return tuple(
            Word(word.text, first + word.start_samples, first + min(word.end_samples, end), word.confidence)
            for word in self._recogniser.words()
        )

    def resume(self) -> bytes:
        return _PACKED.pack(*self._mean) if self._primed else b""

    def close(self) -> None:
        self._recogniser.end(self)

    def _prime(self) -> Outcome:
        self._primed = True
        self._mean = self._recogniser.measure(bytes(self._opening[:PRIMING_BYTES]))
        self._opening.clear()
        return Outcome.AGAIN if dist(self._mean, PRIOR) > AGAIN_DISTANCE else Outcome.ON


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
