"""A word stands out of its segment by its level, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from scribewire.core.audio import WINDOW_SAMPLES
from scribewire.engines.loudness import Loudness


def hear(*levels: float) -> Loudness:
    loudness = Loudness()
    for level in levels:
        loudness.hear(np.full(WINDOW_SAMPLES, level, np.float32))
    return loudness


def test_a_word_of_twenty_decibels_over_the_quiet_is_clear_by_nine_tenths() -> None:
    loudness = hear(*[0.02] * 5, *[0.2] * 5, *[0.04] * 5)

    assert loudness.clarity(5 * WINDOW_SAMPLES, 10 * WINDOW_SAMPLES) == pytest.approx(0.9)
    assert loudness.clarity(10 * WINDOW_SAMPLES, 15 * WINDOW_SAMPLES) == pytest.approx(0.5)
    assert loudness.clarity(0, WINDOW_SAMPLES) == 0.0


def test_a_whisper_in_digital_silence_is_not_clear() -> None:
    assert hear(0, 0, 0.002, 0).clarity(2 * WINDOW_SAMPLES, 3 * WINDOW_SAMPLES) == pytest.approx(0.5)


def test_a_word_without_length_is_as_clear_as_its_window_and_one_beyond_the_end_is_not() -> None:
    loudness = hear(0.01, 0.1)

    assert loudness.clarity(WINDOW_SAMPLES + 5, WINDOW_SAMPLES + 5) == loudness.clarity(
        WINDOW_SAMPLES, 2 * WINDOW_SAMPLES
    )
    assert loudness.clarity(2 * WINDOW_SAMPLES, 2 * WINDOW_SAMPLES) == 0.0
