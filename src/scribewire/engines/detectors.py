"""Speech detectors: how likely each window holds speech. What a detector remembers of a stream is plain bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import ClassVar, Final, NamedTuple

import numpy as np

from scribewire.core.audio import WINDOW_SAMPLES

# RMS of a window, of 32,768, that counts as sound: -40 dB of full scale, far below any tone or voice worth hearing and
# far above the noise of a quiet microphone.
SOUND_LEVEL: Final = 328


class Judgement(NamedTuple):
    """How likely a window holds speech, 0…1, and what to remember for the stream's next window."""

    probability: float
    memory: bytes


class Detector(ABC):
    """Judges windows of many streams in one call.

    A judgement depends on the window and on the memory that came before, never on the company in the call.
    `memory_bytes` is the length of every memory but the first, which is empty. `opening_windows` is how many windows in
    a row must be speech before an utterance is believed.
    """

    memory_bytes: ClassVar[int] = 0
    opening_windows: ClassVar[int] = 2

    @abstractmethod
    def judge(self, runs: Sequence[Sequence[bytes]], memories: Sequence[bytes]) -> list[list[Judgement]]:
        """Judge the next windows of each of some streams, one or more, each WINDOW_BYTES of s16le at 16 kHz."""


class NoneDetector(Detector):
    """Takes everything for speech."""

    opening_windows = 1

    def judge(self, runs: Sequence[Sequence[bytes]], memories: Sequence[bytes]) -> list[list[Judgement]]:
        return [[Judgement(1.0, b"")] * len(run) for run in runs]


class EnergyDetector(Detector):
    """Takes every window of SOUND_LEVEL or more for speech: for tones, and where noise cannot occur."""

    def judge(self, runs: Sequence[Sequence[bytes]], memories: Sequence[bytes]) -> list[list[Judgement]]:
        sound = b"".join(chain.from_iterable(runs))
        samples = np.frombuffer(sound, "<i2").reshape(-1, WINDOW_SAMPLES).astype(np.int64)
        loud = iter((samples * samples).sum(axis=1) >= SOUND_LEVEL**2 * WINDOW_SAMPLES)
        return [[Judgement(float(next(loud)), b"") for _ in run] for run in runs]
