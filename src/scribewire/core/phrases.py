"""Phrases: how much room words take on a screen, and where between two of them a caption breaks well."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

# A line holds 42 letters, or 16 of a script whose characters are as wide as they are high (Netflix Timed Text Style
# Guides, English and Chinese). In these units both fill it, and so does any mix of them.
LETTER_ROOM: Final = 8
WIDE_ROOM: Final = 21
LINE_ROOM: Final = 42 * LETTER_ROOM


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SENTENCE_ENDS: Final = tuple(".?!…。？！")
_CLAUSE_ENDS: Final = tuple(",;:—–、，；：")
_CLOSERS: Final = "\"'”’»)]」』）】"

# A line breaks before conjunctions and prepositions, and does not part a noun from its article or a verb from its
# subject (Netflix Timed Text Style Guide, General Requirements, "Line Treatment").
_OPENERS: Final = {
    "en": _listed(
        "about above across after against along although among and around as at because before behind below beneath "
        "beside between beyond but by despite down during except for from if in inside into like near nor of off on "
        "onto or out over past since so than that though through till to toward towards under unless until up upon "
        "when where whereas whether which while who with within without"
    )
}
_LEANERS: Final = {
    "en": _listed(
        "a an the my your his her its our their this these those every each no i he she we they am is are was were be "
        "been have has had do does did will would can could shall should may might must not very"
    )
}


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word of a caption. Times count from the start of the audio."""

    text: str
    start_ms: int
    end_ms: int


def room_of(text: str) -> int:
    """Give the room that a text takes on a line."""
    return sum(WIDE_ROOM if is_wide(letter) else LETTER_ROOM for letter in text)


def is_wide(letter: str) -> bool:
    """Say whether a character is as wide as it is high, as of Chinese, Japanese and Korean (UAX #11)."""
    return unicodedata.east_asian_width(letter) in "WF"


def blank_between(left: str, right: str) -> str:
    """Give what stands between two words: a blank, but nothing where both are of a script that has none."""
    return "" if _is_unspaced(left[-1]) and _is_unspaced(right[0]) else " "


def join(words: Sequence[TimedWord]) -> str:
    """Give the words as one line."""
    blanks = [blank_between(left.text, right.text) for left, right in pairwise(words)]
    return "".join(blank + word.text for blank, word in zip(["", *blanks], words, strict=False))


def pieces_of(word: TimedWord) -> list[TimedWord]:
    """Cut a word that is longer than a line, where its script may be cut anywhere; its time is shared out evenly.

    A word of letters stays whole and overflows: it is hyphenated nowhere.
    """
    if room_of(word.text) <= LINE_ROOM or not all(map(is_wide, word.text)):
        return [word]
    longest = LINE_ROOM // WIDE_ROOM
    count = -(-len(word.text) // longest)
    cuts = [at * len(word.text) // count for at in range(count + 1)]
    span_ms = word.end_ms - word.start_ms
    times_ms = [word.start_ms + at * span_ms // count for at in range(count + 1)]
    return [
        TimedWord(word.text[first:end], start_ms, end_ms)
        for (first, end), (start_ms, end_ms) in zip(pairwise(cuts), pairwise(times_ms), strict=True)
    ]


def ends_sentence(word: str) -> bool:
    """Say whether a sentence ends with this word."""
    return word.rstrip(_CLOSERS).endswith(_SENTENCE_ENDS)


def flaw_between(left: str, right: str, language: str) -> int:
    """Say how bad a break between two words is, from 0 (a sentence ends) to 200 (an article loses its noun).

    `language` is a primary subtag; where there is no list of its words, only punctuation counts.
    """
    if ends_sentence(left):
        return 0
    if left.rstrip(_CLOSERS).endswith(_CLAUSE_ENDS):
        return 5
    before, after = left.lower(), right.lower()
    openers = _OPENERS.get(language, frozenset())
    if before in openers or before in _LEANERS.get(language, frozenset()):
        return 200
    return 10 if after in openers else 20


def _is_unspaced(letter: str) -> bool:
    return is_wide(letter) and not unicodedata.name(letter, "").startswith("HANGUL")
