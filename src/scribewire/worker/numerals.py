"""Numbers in digits, for sessions that ask for them: the words of a number become one.

The same words give the same digits in a partial and in a final: neither times nor confidences have a say.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scribewire.core.words import Word

# What text2num knows.
LANGUAGES: Final = frozenset({"da", "de", "en", "es", "fr", "it", "nl", "pt"})
# A number below this stays a word where it stands alone: «one of them», «wait a second».
SMALLEST: Final = 3.0
_DECIMAL: Final = re.compile(r"\d[.,]\d")
_ZEROS: Final = re.compile(r"00+")
_SCALE: Final = re.compile(r"100+")
# «million» alone is no number: what stands before it says how many, «two and a half» or «a».
_MILLION: Final = re.compile(r"1(000){2,}")
_EDGES: Final = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number among words: from `words[start]` up to `words[end]`, that not included."""

    start: int
    end: int
    text: str


class Numerals:
    """Finds the numbers of one language and writes them in digits."""

    def __init__(self, language: str) -> None:
        # Here, so that a worker nobody asks for digits never loads it.
        from text_to_num import find_numbers

        self._find_numbers: Callable[[list[_Token], str, float], list[Any]] = find_numbers
        self._language = language
        self._failed = False

    def in_partial(self, texts: Sequence[str]) -> tuple[tuple[str, ...], int]:
        """Give a partial in digits, and how many of its words are closed: what follows may make a number grow."""
        written: list[str] = []
        at = last_begins = 0
        for numeral in self.find(texts):
            written += texts[at : numeral.start]
            last_begins = len(written)
            written.append(numeral.text)
            at = numeral.end
        written += texts[at:]
        # A number goes on after its last word, or after one more: «four hundred and», «three point».
        tail = self.find(texts[-2:], smallest=0.0)
        if not tail:
            return tuple(written), len(written)
        begins = max(len(texts) - 2, 0) + tail[0].start
        return tuple(written), last_begins if begins < at else len(written) - (len(texts) - begins)

    def in_final(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Give a final in digits. A number lasts from its first word to its last, and is as sure as the least sure."""
        written: list[Word] = []
        at = 0
        for numeral in self.find([word.text for word in words]):
            parts = words[numeral.start : numeral.end]
            written += words[at : numeral.start]
            # It is wrong as soon as one of its words is.
            confidence = min(part.confidence for part in parts)
            written.append(Word(numeral.text, parts[0].start_sample, parts[-1].end_sample, confidence))
            at = numeral.end
        return (*written, *words[at:])

    def find(self, texts: Sequence[str], *, smallest: float = SMALLEST) -> list[Numeral]:
        """Give the numbers in order; none at all when the library fails, so that words stay words."""
        tokens = [_Token(text) for text in texts]
        found = self._ask(tokens, smallest)
        if counted := self._counted(tokens, found):
            for at in counted:
                tokens[at].is_word = True
            found = self._ask(tokens, smallest)
        return [
            Numeral(one.start, one.end, tokens[one.start].before + one.text + tokens[one.end - 1].after)
            for one in found
            if not (one.end - one.start == 1 and _MILLION.fullmatch(one.text))
        ]

    def _counted(self, tokens: list[_Token], found: list[Any]) -> list[int]:
        """Find what decimals count: the thousand of «two point five thousand», no number and no decimal place."""
        counted = []
        for one in found:
            if _DECIMAL.search(one.text):
                shorter = self._ask(tokens[one.start : one.end - 1], 0.0)
                after = self._ask(tokens[one.end : one.end + 1], 0.0)
                # Some languages take it for zeros at the decimal's end, others for a number beside it.
                if any(_ZEROS.fullmatch(one.text.removeprefix(other.text)) for other in shorter):
                    counted.append(one.end - 1)
                elif any(_SCALE.fullmatch(other.text) for other in after):
                    counted.append(one.end)
        return counted

    def _ask(self, tokens: list[_Token], smallest: float) -> list[Any]:
        try:
            return self._find_numbers(tokens, self._language, smallest)
        except BaseException as error:  # a panic of the library's is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            if not self._failed:
                self._failed = True
                _log.warning("Numbers stay words", extra={"language": self._language, "reason": type(error).__name__})
            return []


def numerals_of(language: str) -> Numerals | None:
    """Give those of a language tag; None when its numbers stay words."""
    primary = language.partition("-")[0]
    if primary not in LANGUAGES:
        return None
    try:
        return Numerals(primary)
    except ImportError as error:
        _log.warning("Numbers stay words", extra={"language": primary, "reason": str(error)})
        return None


class _Token:
    """A word as the library asks for it: without the signs around it, which part it from its neighbours."""

    __slots__ = ("_bare", "after", "before", "is_word")

    def __init__(self, text: str) -> None:
        match = _EDGES.fullmatch(text)
        assert match is not None, "it matches everything"
        self.before, self._bare, self.after = match.groups()
        self.is_word = False

    def text(self) -> str:
        return self._bare

    def nt_separated(self, previous: _Token) -> bool:
        return bool(previous.after or self.before)

    def not_a_number_part(self) -> bool:
        return self.is_word
