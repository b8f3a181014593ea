"""Audio arithmetic: exact, and never past the audio it stands for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.core.audio import ms_of_samples, s_of_samples, samples_of_ms, samples_of_s

times_ms = st.integers(0, 10**12)


@settings(max_examples=30)
@given(times_ms)
def test_milliseconds_survive_the_way_there_and_back(ms: int) -> None:
    assert ms_of_samples(samples_of_ms(ms)) == ms


@settings(max_examples=30)
@given(st.integers(0, 10**15))
def test_milliseconds_never_point_past_the_samples(samples: int) -> None:
    assert ms_of_samples(samples) * 16 <= samples < (ms_of_samples(samples) + 1) * 16


@settings(max_examples=30)
@given(st.integers(0, 10**9))
def test_seconds_survive_the_way_there_and_back(samples: int) -> None:
    assert samples_of_s(s_of_samples(samples)) == samples


def test_a_second_is_sixteen_thousand_samples() -> None:
    assert (samples_of_s(1), samples_of_ms(1000), s_of_samples(16_000)) == (16_000, 16_000, 1.0)
