"""Tokens of every way to spell become the words that were meant, with the times and probabilities of their tokens."""

from __future__ import annotations

import math

import pytest

from scribewire.engines.tokens import Spelling, Token

PIECES = ("<blk>", "<unk>", "▁HE", "LL", "O", "▁", "▁WOR", "LD", "'S", "<0xE4>", "<0xBD>", "<0xA0>", "<en-US>")


def words(vocabulary: tuple[str, ...], *said: str) -> list[str]:
    spelling = Spelling((*vocabulary, *said))
    return [word.text for word in spelling.spell(Token(text, 640 * at) for at, text in enumerate(said))]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((" HE", "LL", "O", " WOR", "LD", "'S"), ["hello", "world's"]),
        (("▁HE", "LL", "O", "▁WOR", "LD"), ["hello", "world"]),
        (("LL", "O"), ["llo"]),
        ((" ", "HE", "LL", "O", " ", " ", "O"), ["hello", "o"]),
        (("<unk>", " HE", "<en-US>", "LL", "O"), ["hello"]),
        ((" HE", "<0xE4>", "<0xBD>", "<0xA0>", " O"), ["he", "你", "o"]),
        (("<0xE4>", "<0xBD>", " HE"), ["he"]),
        ((), []),
    ],
)
def test_a_mark_begins_a_word(said: tuple[str, ...], expected: list[str]) -> None:
    assert words(PIECES, *said) == expected


def test_characters_of_scripts_without_blanks_are_words_of_their_own() -> None:
    assert words(("▁I",), "你", "好", " I", "PHONE", "手机", "か") == ["你", "好", "iphone", "手", "机", "か"]


def test_without_marks_a_token_is_a_word_unless_it_says_that_it_goes_on() -> None:
    assert words(("hel@@",), "hel@@", "lo", "world", "你", "ex@@", "tra@@", "s") == ["hello", "world", "你", "extras"]


def test_pieces_of_bytes_are_joined_before_they_are_read() -> None:
    # E4 BD, A0, E5 A5 BD: 你 and 好 in the characters that stand for bytes in Icefall's recipes.
    assert words(("!", "▁a"), "▁Ƌţ", "Ņ", "ƌŋţ", "▁hi") == ["你", "好", "hi"]


def test_a_word_has_the_times_and_the_mean_probability_of_its_tokens() -> None:
    said = [Token(" HE", 0, math.log(0.9)), Token("LL", 640, math.log(0.4)), Token(" O", 1920, math.log(0.5))]
    hello, other = Spelling(PIECES).spell(said)

    assert (hello.start_samples, hello.last_start_samples, other.start_samples) == (0, 640, 1920)
    assert hello.probability == pytest.approx(0.6)
    assert other.probability == pytest.approx(0.5)
    assert Spelling(PIECES).spell([Token(" HE", 0)])[0].probability is None


@pytest.mark.parametrize(
    ("vocabulary", "phrase", "written"),
    [
        (("▁A", "B", "C"), "cab  A", "CAB A"),
        (("▁A", "B", "C"), "cabs", None),
        (("▁a", "b", "▁B"), "aB", "aB"),
        (("你", "好"), "你好", "你好"),
        (("你", "好"), "你们", None),
        (("▁A", "BC"), "", None),
        # No letter by itself, so that not every phrase of letters can be encoded.
        (("▁AB", "BC"), "ab", None),
    ],
)
def test_a_phrase_is_written_in_the_case_and_the_letters_of_the_vocabulary(
    vocabulary: tuple[str, ...], phrase: str, written: str | None
) -> None:
    assert Spelling(vocabulary).write(phrase) == written
