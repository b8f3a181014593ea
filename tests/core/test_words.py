"""Words: whatever a stream claims, what is told keeps the contract."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.core.words import Word, bound_words

words = st.lists(st.builds(Word, st.sampled_from(["", "a"]), st.integers(), st.integers(), st.floats()))


def test_words_within_their_bounds_are_unchanged() -> None:
    said = (Word("a", 10, 20, 0.5), Word("b", 20, 30, 1.0), Word("c", 35, 35, 0.0))
    assert bound_words(said, 10, 35) == said


@settings(max_examples=30)
@given(words, st.integers(0, 1000), st.integers(0, 1000))
def test_words_are_in_order_within_the_segment_and_their_confidence_a_share(
    said: list[Word], first: int, length: int
) -> None:
    told = bound_words(said, first, first + length)
    assert [word.text for word in told] == [word.text for word in said if word.text]
    times = [first, *(time for word in told for time in word[1:3]), first + length]
    assert all(before <= after for before, after in pairwise(times))
    assert all(0 <= word.confidence <= 1 for word in told)
