"""Kept audio: addressed by absolute sample, whatever was released before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.core.kept import KeptAudio


def test_it_is_addressed_by_absolute_sample() -> None:
    kept = KeptAudio()
    kept.append(b"aabbccdd")
    kept.release(2)
    assert (kept.first_sample, kept.end_sample, kept.samples) == (2, 4, 2)
    assert kept.read(3, 4) == b"dd"
    kept.append(b"ee")
    assert kept.read(2, 5) == b"ccddee"


def test_releasing_again_or_less_changes_nothing() -> None:
    kept = KeptAudio()
    kept.append(b"aabbcc")
    for before_sample in (2, 2, 1, 0, -5):
        kept.release(before_sample)
    assert (kept.first_sample, kept.read(2, 3)) == (2, b"cc")


def test_everything_may_be_released() -> None:
    kept = KeptAudio()
    kept.append(b"aabb")
    kept.release(2)
    assert (kept.samples, kept.end_sample, kept.read(2, 2)) == (0, 2, b"")


@settings(max_examples=30)
@given(st.lists(st.tuples(st.binary(max_size=30), st.integers(0, 40))))
def test_what_is_kept_is_the_end_of_what_came(steps: list[tuple[bytes, int]]) -> None:
    kept, came = KeptAudio(), b""
    for noise, count in steps:
        pcm = noise[: len(noise) // 2 * 2]
        kept.append(pcm)
        came += pcm
        kept.release(min(kept.first_sample + count, kept.end_sample))
        assert kept.end_sample == len(came) // 2
        assert kept.read(kept.first_sample, kept.end_sample) == came[2 * kept.first_sample :]
