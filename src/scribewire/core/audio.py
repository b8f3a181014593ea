"""Audio arithmetic: the one format inside, and exact steps between bytes, samples and milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SAMPLE_RATE_HZ: Final = 16_000
SAMPLE_BYTES: Final = 2
# What clients may send and have converted.
MIN_RATE_HZ: Final = 8_000
MAX_RATE_HZ: Final = 48_000
MAX_CHANNELS: Final = 8
# One step of the gate and of every decoder: 512 samples are what Silero VAD takes at 16 kHz.
WINDOW_SAMPLES: Final = 512
WINDOW_BYTES: Final = WINDOW_SAMPLES * SAMPLE_BYTES


Encoding = Literal["linear16", "mulaw", "alaw", "opus", "flac", "container"]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a client's audio is; as it comes, the one format inside. A container says its own rate and channels."""

    encoding: Encoding = "linear16"
    sample_rate_hz: int = SAMPLE_RATE_HZ
    channels: int = 1
    apart: bool = False  # a session for each channel, rather than all mixed into one


def samples_of_s(seconds: float) -> int:
    """Give the number of samples in `seconds`, rounded to the nearest."""
    return round(seconds * SAMPLE_RATE_HZ)


def samples_of_ms(milliseconds: float) -> int:
    """Give the number of samples in `milliseconds`, rounded to the nearest."""
    return round(milliseconds * SAMPLE_RATE_HZ / 1000)


def ms_of_samples(samples: int) -> int:
    """Give whole milliseconds, rounded down: a time never points past the audio that it stands for."""
    return samples * 1000 // SAMPLE_RATE_HZ


def s_of_samples(samples: int) -> float:
    """Give seconds."""
    return samples / SAMPLE_RATE_HZ
