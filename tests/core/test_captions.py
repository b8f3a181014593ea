"""Captions: one test for each rule of the broadcasters, then all rules on any words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.core.captions import MAX_CUE_MS, MIN_CUE_MS, MIN_GAP_MS, Captioner, Cue
from scribewire.core.phrases import LINE_ROOM, TimedWord, room_of
from tests.core.speech import captions, lines, say

LONG = (
    "the council met on tuesday to talk about the road that leads from the village to the station and they decided "
    "after a long debate that the bridge must be closed until the end of the summer because the stones are loose"
)


def test_what_fits_one_line_stays_on_one() -> None:
    assert lines(say("the bridge is closed until the summer ends")) == [("the bridge is closed until the summer ends",)]


def test_a_line_holds_at_most_42_letters() -> None:
    texts = [text for cue in lines(say(LONG)) for text in cue]
    assert max(map(len, texts)) <= 42
    assert " ".join(texts) == LONG


def test_a_cue_has_at_most_two_lines() -> None:
    assert max(map(len, lines(say(LONG, word_ms=200)))) == 2


def test_of_two_lines_the_lower_is_the_longer() -> None:
    assert lines(say("seven brown horses walked slowly past seven old houses", word_ms=400)) == [
        ("seven brown horses walked", "slowly past seven old houses")
    ]


def test_a_cue_stands_at_most_seven_seconds() -> None:
    cues = captions(say("one two three four five six seven eight nine ten", word_ms=1_000))
    assert max(cue.end_ms - cue.start_ms for cue in cues) <= 7_000
    assert len(cues) == 2


def test_a_word_that_lasts_longer_is_shown_for_seven_seconds() -> None:
    [cue] = captions(say("aaah", word_ms=9_000))
    assert (cue.start_ms, cue.end_ms) == (0, 7_000)


def test_a_short_cue_stands_on_into_the_pause_for_a_second() -> None:
    first, _ = captions(say("yes (2000) and what then", word_ms=200))
    assert (first.start_ms, first.end_ms) == (0, 1_000)


def test_a_cue_that_was_said_quickly_stands_on_until_it_is_read() -> None:
    text = "extraordinarily complicated arrangements"
    first, _ = captions(say(f"{text} (2000) yes", word_ms=200))
    assert first.end_ms == len(text) * 1_000 // 20


def test_between_two_cues_are_two_frames() -> None:
    for left, right in pairwise(captions(say(LONG))):
        assert right.start_ms - left.end_ms == 80


def test_a_gap_of_up_to_half_a_second_is_closed_and_a_longer_one_stays() -> None:
    short, then, long, last = captions(
        say(
            "the road leads from the village to the station (500) "
            "they decided after a long debate to close the bridge (900) "
            "the stones below it had been loose since the winter (1400) nobody knew",
            word_ms=280,
        )
    )
    assert then.start_ms - short.end_ms == 80
    assert last.start_ms - long.end_ms == 1_400


def test_a_pause_is_the_first_choice_for_a_break() -> None:
    assert lines(say("we walked home from the old station (500) then rain fell, and we ran all the way to the bus"))[
        0
    ] == ("we walked home from the old station",)


def test_a_long_pause_always_breaks() -> None:
    assert lines(say("wait (1000) now")) == [("wait",), ("now",)]


def test_a_small_pause_does_not_break_what_fits() -> None:
    assert lines(say("wait (400) now")) == [("wait now",)]


def test_without_pauses_punctuation_is_the_next_choice() -> None:
    said = (
        "The bridge is closed. Nobody knows for how long it will be, but the town hall hopes that it opens again soon"
    )
    assert lines(say(said))[0] == ("The bridge is closed.", "Nobody knows for how long it will be,")


@pytest.mark.parametrize("word", ["the", "of", "and", "to", "my", "with", "will"])
def test_no_line_ends_with_a_word_that_leans_on_the_next(word: str) -> None:
    said = f"seven brown horses walk slowly {word} green gardens near small towns {word} farms"
    for cue in lines(say(said)):
        for text in cue:
            assert text.split()[-1] != word


def test_a_language_without_a_list_breaks_in_the_middle() -> None:
    said = "vier kleine vogels zaten boven op de oude brug bij het dorp"
    assert lines(say(said), "nl") == [("vier kleine vogels zaten", "boven op de oude brug bij het dorp")]


def test_no_word_is_left_over_alone_where_the_break_could_come_earlier() -> None:
    said = "many people here believe they heard strange loud music coming down old narrow mountain roads yesterday"
    assert min(len(" ".join(cue).split()) for cue in lines(say(said))) >= 4


def test_a_word_longer_than_a_line_stands_alone_and_whole() -> None:
    word = "x" * 50
    assert lines(say(f"look at {word} please")) == [("look at",), (word,), ("please",)]


def test_wide_characters_are_set_without_blanks_16_a_line() -> None:
    characters = list("我们昨天在城里见了面然后一起去看了那座桥因为它已经很久没有开放")
    cues = lines(say(" ".join(characters), word_ms=200), "zh")
    assert "".join(text for cue in cues for text in cue) == "".join(characters)
    assert max(len(text) for cue in cues for text in cue) <= 16


def test_a_wide_word_longer_than_a_line_is_cut_and_its_time_shared_out() -> None:
    [first, second] = [line for cue in captions(say("字" * 20, word_ms=4_000), "zh") for line in cue.lines]
    assert [(len(w.text), w.start_ms, w.end_ms) for w in (*first, *second)] == [(10, 0, 2_000), (10, 2_000, 4_000)]


def test_korean_keeps_its_blanks() -> None:
    assert lines(say("우리는 어제 만났다"), "ko") == [("우리는 어제 만났다",)]


def test_words_that_come_too_quickly_make_the_next_cue_wait() -> None:
    cues = captions(say(LONG, word_ms=1))
    assert all(cue.end_ms - cue.start_ms >= 1_000 for cue in cues)
    assert all(right.start_ms - left.end_ms == 80 for left, right in pairwise(cues))


def test_a_cue_is_given_as_soon_as_nothing_can_change_it() -> None:
    captioner = Captioner()
    assert captioner.add(say("so it is")) == []
    [cue] = captioner.add(say("and then", at_ms=5_000))
    assert cue.texts == ("so it is",)
    assert [cue.texts for cue in captioner.end()] == [("and then",)]
    assert captioner.end() == []


def test_words_without_letters_are_no_words() -> None:
    assert captions([TimedWord(" ", 0, 100)]) == []


# --- any words -------------------------------------------------------------------------------------------------------

_TEXTS = st.one_of(
    st.sampled_from(["a", "the", "of", "bridge", "yes.", "well,", "incomprehensibilities", "x" * 45, "桥", "字" * 40]),
    st.text("abc é桥우.,", min_size=1, max_size=12),
)
_PAUSES_MS = st.one_of(st.just(0), st.integers(0, 800), st.integers(1_000, 9_000))
_WORDS_MS = st.one_of(st.integers(60, 900), st.integers(0, 9_000))


@st.composite
def streams(draw: st.DrawFn) -> list[TimedWord]:
    words, at_ms = [], 0
    for text in draw(st.lists(_TEXTS, max_size=80)):
        start_ms = at_ms + draw(_PAUSES_MS)
        at_ms = start_ms + draw(_WORDS_MS)
        words.append(TimedWord(text, start_ms, at_ms))
    return words


def letters(texts: list[str]) -> str:
    return "".join("".join(texts).split())


@settings(max_examples=60)
@given(streams())
def test_any_words_are_shown_once_in_order_by_every_rule_that_they_leave_possible(words: list[TimedWord]) -> None:
    cues = captions(words)
    assert letters([text for cue in cues for text in cue.texts]) == letters([word.text for word in words])
    for cue in cues:
        assert MIN_CUE_MS <= cue.end_ms - cue.start_ms <= MAX_CUE_MS
        assert 1 <= len(cue.lines) <= 2
        assert all(room_of(text) <= LINE_ROOM for text in cue.texts) or sum(map(len, cue.lines)) == 1
        assert cue.start_ms >= cue.lines[0][0].start_ms
    for cue, following in pairwise(cues):
        gap_ms = following.start_ms - cue.end_ms
        assert gap_ms == MIN_GAP_MS or gap_ms > 500 or cue.end_ms - cue.start_ms == MAX_CUE_MS
        assert reads_well(cue) or gap_ms == MIN_GAP_MS or cue.end_ms - cue.start_ms == MAX_CUE_MS


def reads_well(cue: Cue) -> bool:
    return len(" ".join(cue.texts)) <= 20 * (cue.end_ms - cue.start_ms) / 1_000


@settings(max_examples=60)
@given(streams(), st.data())
def test_however_words_are_shared_out_over_finals_the_cues_are_the_same(
    words: list[TimedWord], data: st.DataObject
) -> None:
    captioner, cues, rest = Captioner(), list[Cue](), words
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        cues += captioner.add(rest[:count])
        rest = rest[count:]
    assert cues + captioner.end() == captions(words)


def test_before_the_first_word_nothing_is_open() -> None:
    assert Captioner().open_text == ""
    assert Captioner("ja").open_text == ""
