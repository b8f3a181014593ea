"""Number words become digits, alike in partials and finals; all other words stay as they are."""

from __future__ import annotations

import itertools
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_to_num import find_numbers

from scribewire.core.words import Word
from scribewire.worker.numerals import LANGUAGES, SMALLEST, Numerals, numerals_of

EN = Numerals("en")


def in_digits(text: str, numerals: Numerals = EN) -> str:
    return " ".join(numerals.in_partial(text.split())[0])


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("one two three four five six seven eight nine ten", "1 2 3 4 5 6 7 8 9 10"),
        ("from three hundred to four hundred and fifty dollars", "from 300 to 450 dollars"),
        ("the twenty first century", "the 21st century"),
        ("three point five", "3.5"),
        ("half past nine", "half past 9"),
        ("two thousand and ten", "2010"),
        ("eleven hundred", "1100"),
        ("Twenty Five", "25"),
        ("five million two hundred thousand", "5200000"),
        ("twenty, five.", "20, 5."),
        ('"twenty-five"% of it', '"25"% of it'),
    ],
)
def test_number_words_become_digits(said: str, written: str) -> None:
    assert in_digits(said) == written


@pytest.mark.parametrize(
    "said",
    ["one of them", "no one knows", "wait a second", "the first of two", "one point", "bread and butter", "million"],
)
def test_what_is_no_number_or_a_small_one_alone_stays_words(said: str) -> None:
    assert in_digits(said) == said


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("nineteen ninety four", "19 94"),
        ("zero four seven", "04 7"),
        ("minus five", "minus 5"),
        ("a hundred", "a 100"),
        ("two thirds", "two 3rds"),
    ],
)
def test_what_the_library_does_not_know_is_as_the_docs_say(said: str, written: str) -> None:
    assert in_digits(said) == written


@pytest.mark.parametrize(
    ("language", "said", "written"),
    [
        ("da", "to hundrede kroner", "200 kroner"),
        ("de", "einundzwanzig Häuser", "21 Häuser"),
        ("es", "treinta y cinco casas", "35 casas"),
        ("fr-ca", "vingt et un chats", "21 chats"),
        ("it", "trenta gatti", "30 gatti"),
        ("nl", "eenentwintig huizen", "21 huizen"),
        ("pt-br", "vinte e dois gatos", "22 gatos"),
    ],
)
def test_every_language_of_the_library_is_served(language: str, said: str, written: str) -> None:
    numerals = numerals_of(language)
    assert numerals is not None
    assert in_digits(said, numerals) == written


@pytest.mark.parametrize(
    ("language", "said", "written"),
    [
        ("en", "one point five million dollars", "1.5 million dollars"),
        ("en", "two point five thousand and three hundred", "2.5 thousand and 300"),
        ("en", "two and a half million", "two and a half million"),
        ("da", "to komma fem millioner", "2,5 millioner"),
        ("de", "zwei komma fünf tausend", "2,5 tausend"),
        ("es", "dos coma cinco mil", "2,5 mil"),
        ("fr", "deux virgule cinq millions", "2,5 millions"),
        ("it", "uno virgola cinque milioni", "1,5 milioni"),
        ("nl", "een komma vijf miljoen", "1,5 miljoen"),
        ("pt", "dois vírgula cinco milhões", "2,5 milhões"),
    ],
)
def test_what_a_decimal_counts_stays_a_word(language: str, said: str, written: str) -> None:
    assert in_digits(said, Numerals(language)) == written


def test_the_table_of_languages_is_the_librarys() -> None:
    for language in LANGUAGES:
        assert find_numbers([], language, SMALLEST) == []
    with pytest.raises(ValueError, match="unsupported"):
        find_numbers([], "ru", SMALLEST)
    assert not any(map(numerals_of, ["", "auto", "zh", "ru", "english"]))


# --- growing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "closed"),
    [
        ("it costs twenty", 2),
        ("it costs twenty five", 2),
        ("it costs twenty five dollars", 2),
        ("it costs twenty five dollars each", 5),
        ("four hundred and", 0),
        ("give me one", 2),
        ("give me one of", 2),
        ("give me one of them", 5),
        ("seven eight nine", 2),
        ("no numbers here", 3),
        ("", 0),
    ],
)
def test_the_number_at_the_end_is_not_closed_until_two_words_follow(said: str, closed: int) -> None:
    assert EN.in_partial(said.split())[1] == closed


def test_a_number_that_the_end_of_a_segment_cuts_is_written_as_far_as_it_was_said() -> None:
    assert [word.text for word in EN.in_final(spoken("four", "hundred", "and"))] == ["400", "and"]
    assert [word.text for word in EN.in_final(spoken("fifty", "dollars"))] == ["50", "dollars"]


# --- words with times -------------------------------------------------------------------------------------------------


def spoken(*texts: str, confidences: tuple[float, ...] = ()) -> tuple[Word, ...]:
    sure = confidences or (0.9,) * len(texts)
    return tuple(Word(text, 100 * at, 100 * at + 80, sure[at]) for at, text in enumerate(texts))


def test_a_number_lasts_from_its_first_word_to_its_last_and_is_as_sure_as_the_least_sure() -> None:
    words = spoken("only", "twenty", "five", "left", confidences=(0.9, 0.8, 0.3, 0.7))
    assert EN.in_final(words) == (words[0], Word("25", 100, 280, 0.3), words[3])


SOME_WORDS = st.sampled_from(
    ["one", "two", "nineteen", "ninety", "hundred", "thousand", "million", "and", "point", "zero", "third", "a", "o"]
)
OTHER_WORDS = st.sampled_from(["alfa", "Bravo", "charlie's", "d", "écho", "日本", "—", "3", "x-ray", ""])


@st.composite
def finals(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[Word, ...]:
    at, words = 0, []
    for text in draw(st.lists(texts, max_size=20)):
        start = at + draw(st.integers(0, 50))
        at = start + draw(st.integers(0, 50))
        words.append(Word(text, start, at, draw(st.floats(0, 1))))
    return tuple(words)


@given(finals(SOME_WORDS | OTHER_WORDS | st.text(max_size=6)), st.sampled_from(sorted(LANGUAGES)))
def test_no_word_is_lost_or_moved_and_times_stay_in_order(words: tuple[Word, ...], language: str) -> None:
    numerals = Numerals(language)
    numbers = numerals.find([word.text for word in words])
    written = numerals.in_final(words)
    within = {at for number in numbers for at in range(number.start, number.end)}
    kept = iter(written)
    assert all(word in kept for at, word in enumerate(words) if at not in within)
    assert len(written) == len(words) - len(within) + len(numbers)
    times = [time for word in written for time in (word.start_sample, word.end_sample)]
    assert times == sorted(times)
    assert all(a.end <= b.start for a, b in itertools.pairwise(numbers))
    texts, closed = numerals.in_partial([word.text for word in words])
    assert texts == tuple(word.text for word in written)
    assert 0 <= closed <= len(texts)


@given(finals(st.sampled_from(["alfa", "bravo", "charlie", "one of", "no", "a", "and", "point"])))
def test_words_without_numbers_are_untouched(words: tuple[Word, ...]) -> None:
    assert EN.in_final(words) == words


# --- when the library fails -------------------------------------------------------------------------------------------


class Panic(BaseException):
    """As the library's own: no Exception."""


@pytest.mark.parametrize("failure", [ValueError, Panic])
def test_a_library_that_fails_leaves_words_and_is_told_once(
    failure: type[BaseException], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise failure("twenty five")

    monkeypatch.setattr("text_to_num.find_numbers", fail)
    numerals = Numerals("en")
    words = spoken("twenty", "five")
    with caplog.at_level(logging.WARNING):
        assert numerals.in_final(words) == words
        assert numerals.in_partial(["twenty", "five"]) == (("twenty", "five"), 2)
    assert [record.message for record in caplog.records] == ["Numbers stay words"]
    assert "twenty" not in str(caplog.records[0].__dict__)


def test_a_real_panic_of_the_library_leaves_words(capfd: pytest.CaptureFixture[str]) -> None:
    assert in_digits("a\ud800b twenty five") == "a\ud800b twenty five"
    capfd.readouterr()


def test_a_worker_is_not_stopped_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("text_to_num.find_numbers", stop)
    with pytest.raises(KeyboardInterrupt):
        Numerals("en").find(["five"])


def test_the_library_is_not_loaded_for_a_language_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "text_to_num", None)
    assert numerals_of("zh") is None
    assert not caplog.records


def test_words_stay_words_where_the_library_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "text_to_num", None)
    assert numerals_of("en") is None
    assert [record.message for record in caplog.records] == ["Numbers stay words"]
