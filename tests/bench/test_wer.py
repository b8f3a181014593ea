"""Word errors: counted as the reference implementation counts them."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire.bench.wer import Score, normalise, score

WORDS = st.lists(st.sampled_from(["a", "b", "c", "you'll"]), max_size=8)


@given(WORDS.filter(bool), WORDS)
def test_errors_are_those_that_jiwer_counts(said: list[str], heard: list[str]) -> None:
    outcome = jiwer.process_words(" ".join(said), " ".join(heard))
    errors = outcome.substitutions + outcome.deletions + outcome.insertions
    assert score(" ".join(said), " ".join(heard)) == Score(errors, len(said))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Hello,  WORLD!", "hello world"),
        ("you\N{RIGHT SINGLE QUOTATION MARK}ll 'go'", "you'll go"),
        ("snake_case re-read", "snake case re read"),
        ("Grüße, ÉCOLE", "grüsse école"),
        ("e\N{COMBINING ACUTE ACCENT}cole", "école"),
        ("…", ""),
    ],
)
def test_case_and_signs_do_not_count(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_scores_pool_errors_and_words_and_not_rates() -> None:
    assert (Score(1, 1) + Score(0, 9)).wer == 0.1


def test_words_where_none_were_said_are_all_wrong() -> None:
    assert score("", "made up") == Score(2, 0)
    assert Score(2, 0).wer == 1.0
    assert Score(0, 0).wer == 0.0
