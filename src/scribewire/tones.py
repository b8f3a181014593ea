"""Speech for machines: every word of a small vocabulary is a pure tone of its own, so a transcript can be exact.

`say` makes the audio; the scripted engine hears it. For tests, benchmarks, and whoever writes a client.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from functools import cache
from typing import Final

from scribewire.core.audio import SAMPLE_RATE_HZ, samples_of_ms

VOCABULARY: Final = (
    "alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel",
    "india", "juliett", "kilo", "lima", "mike", "november", "oscar", "papa",
    "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray",
    "yankee", "zulu", "zero", "one", "two", "three", "four", "five",
)  # fmt: skip
# Higher than the fundamental of a voice, so that real speech is hardly ever taken for a word.
LOWEST_HZ: Final = 500
# Far enough apart to be told from 10 ms, and all of them well below 4 kHz, where the measure used turns blind.
SPACING_HZ: Final = 100
AMPLITUDE: Final = 8000
# A pause of this length between words holds at least 100 ms of silent gate windows, where a long segment may be cut.
GAP_MS: Final = 200
WORD_MS: Final = 200


def frequency_hz(word: str) -> int:
    """Give the tone of a word. Raises ValueError when it is not in the vocabulary."""
    return LOWEST_HZ + SPACING_HZ * VOCABULARY.index(word)


def say(words: str | Iterable[str], *, word_ms: int = WORD_MS, gap_ms: int = GAP_MS) -> bytes:
    """Make the audio of some words, a gap after each: s16le, 16 kHz, mono. Words of 120 ms or more are always heard.

    Raises ValueError when a word is not in the vocabulary.
    """
    gap = silence(gap_ms)
    spoken = words.split() if isinstance(words, str) else words
    return b"".join(part for word in spoken for part in (_tone(frequency_hz(word), samples_of_ms(word_ms)), gap))


def silence(duration_ms: int) -> bytes:
    """Make digital silence: s16le, 16 kHz, mono."""
    return bytes(2 * samples_of_ms(duration_ms))


@cache
def _tone(hz: int, samples: int) -> bytes:
    step = 2 * math.pi * hz / SAMPLE_RATE_HZ
    return array("h", [round(AMPLITUDE * math.sin(step * n)) for n in range(samples)]).tobytes()
