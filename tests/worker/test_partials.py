"""Stability counts what survived, and with stable partials only that is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scribewire.worker.numerals import Numerals
from scribewire.worker.partials import PARTIAL_STEP_SAMPLES, STABLE_AFTER, Partials

Said = list[tuple[str, float] | None]


def offer(partials: Partials, *texts: str) -> Said:
    return [partials.offer(tuple(text.split()), at * PARTIAL_STEP_SAMPLES) for at, text in enumerate(texts)]


def shown(*texts: str, numerals: Numerals | None = None) -> list[str]:
    said = offer(Partials(stable_only=True, numerals=numerals), *texts)
    return [text for text, _ in filter(None, said)]


def test_a_word_is_stable_once_it_survived_two_partials() -> None:
    assert offer(Partials(), "a", "a b", "a b c", "a b c d") == [
        ("a", 0.0),
        ("a b", 0.0),
        ("a b c", 0.333),
        ("a b c d", 0.5),
    ]


def test_a_window_that_was_not_decoded_again_makes_nothing_more_stable() -> None:
    assert offer(Partials(windowed=True), "a b", "a b", "a b", "a b c", "a b c") == [
        ("a b", 0.0),
        ("a b", 0.0),
        ("a b", 0.0),
        ("a b c", 0.667),
        ("a b c", 0.667),
    ]


def test_a_changed_word_makes_all_that_follow_it_unstable() -> None:
    assert offer(Partials(), "a b c", "a b c", "a b c", "a x c", "a x c", "a x c") == [
        ("a b c", 0.0),
        ("a b c", 0.0),
        ("a b c", 1.0),
        ("a x c", 0.333),
        ("a x c", 0.333),
        ("a x c", 1.0),
    ]


def test_a_partial_that_comes_too_soon_is_not_said() -> None:
    partials = Partials()
    assert partials.offer(("a",), 0) is not None
    assert partials.offer(("a", "b"), PARTIAL_STEP_SAMPLES - 1) is None
    assert partials.offer(("a", "b"), PARTIAL_STEP_SAMPLES) is not None


def test_a_segment_inherits_nothing_from_the_one_before() -> None:
    partials = Partials(stable_only=True)
    assert offer(partials, "a", "a", "a")[-1] == ("a", 1.0)
    partials.clear()
    assert offer(partials, "a", "a", "a") == [None, None, ("a", 1.0)]


# --- stable only ------------------------------------------------------------------------------------------------------


def test_only_the_stable_words_are_shown_and_only_when_there_are_others() -> None:
    assert shown("a", "a b", "a b c", "a b c", "a b c", "a b c") == ["a", "a b", "a b c"]


def test_shown_words_stay_while_the_partials_waver() -> None:
    assert shown("a b", "a b", "a b", "a", "a x", "a b c", "a b c", "a b c") == ["a b", "a b c"]


def test_shown_words_give_way_to_others_that_are_as_stable() -> None:
    assert shown("a b", "a b", "a b", "a x", "a x", "a x") == ["a b", "a x"]


PARTIALS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(" ".join), max_size=30)


@given(PARTIALS)
def test_a_shown_text_begins_the_last_partials_is_never_empty_and_never_repeats(texts: list[str]) -> None:
    last = None
    for at, said in enumerate(offer(Partials(stable_only=True), *texts)):
        if said is not None:
            latest = texts[at + 1 - STABLE_AFTER : at + 1]
            assert len(latest) == STABLE_AFTER
            assert all(text.startswith(said[0]) for text in latest)
            assert said[0]
            assert said != last
            last = said


# --- with digits ------------------------------------------------------------------------------------------------------


def test_a_number_is_not_stable_while_it_may_grow() -> None:
    growing = ("it is twenty", "it is twenty", "it is twenty", "it is twenty five")
    assert offer(Partials(numerals=Numerals("en")), *growing) == [
        ("it is 20", 0.0),
        ("it is 20", 0.0),
        ("it is 20", 0.667),
        ("it is 25", 0.667),
    ]


def test_a_number_is_shown_once_and_whole() -> None:
    said = ["it", "is", "twenty", "five", "dollars", "or", "more"]
    texts = [" ".join(said[:count]) for count in range(1, len(said) + 1) for _ in range(STABLE_AFTER)]
    assert shown(*texts, numerals=Numerals("en")) == [
        "it",
        "it is",
        "it is 25 dollars",
        "it is 25 dollars or",
        "it is 25 dollars or more",
    ]
