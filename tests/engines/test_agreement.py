"""What two hypotheses in a row agree on stays; what only the newest says is shown behind it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scribewire.engines.agreement import Agreement


def after(*hypotheses: str) -> Agreement:
    agreement = Agreement()
    for hypothesis in hypotheses:
        agreement.offer(hypothesis.split())
    return agreement


def kept(*hypotheses: str) -> tuple[str, ...]:
    """Give what stays when nothing is heard any more."""
    return after(*hypotheses, "").words


def test_nothing_is_agreed_on_by_one() -> None:
    assert after("the cat sat").words == ("the", "cat", "sat")
    assert kept("the cat sat") == ()


def test_the_common_beginning_of_two_is_agreed_on() -> None:
    assert after("the cat sad", "the cat sat on").words == ("the", "cat", "sat", "on")
    assert kept("the cat sad", "the cat sat on") == ("the", "cat")


def test_what_was_agreed_on_stays_when_a_later_one_contradicts_it() -> None:
    agreement = after("the cat", "the cat", "a hat sat on")

    assert agreement.words == ("the", "cat", "sat", "on")


def test_case_and_punctuation_are_no_contradiction_and_the_later_spelling_is_kept() -> None:
    assert kept("The cat.", "the cat, sat", "THE CAT SAT on") == ("the", "cat,", "SAT")


def test_marks_alone_agree_only_with_themselves() -> None:
    assert kept("- yes", "… yes") == ()


def test_a_shorter_hypothesis_takes_back_only_what_was_not_agreed_on() -> None:
    agreement = after("one two", "one two three", "one")

    assert agreement.words == ("one", "two")


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=8))
def test_agreed_words_only_grow_and_always_begin_the_text(hypotheses: list[list[str]]) -> None:
    said = [" ".join(words) for words in hypotheses]
    for count in range(len(said)):
        before, agreed = kept(*said[:count]), kept(*said[: count + 1])
        assert agreed[: len(before)] == before
        assert after(*said[: count + 1]).words[: len(agreed)] == agreed
