"""Word error rate: the fewest words changed, missed or made up, for each word that was said. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_NOT_A_WORD = re.compile(r"[^\w' ]|_")


@dataclass(frozen=True, slots=True)
class Score:
    """Word errors against the words of the references."""

    errors: int
    words: int

    @property
    def wer(self) -> float:
        """Give errors per reference word."""
        return self.errors / self.words if self.words else float(self.errors > 0)

    def __add__(self, other: Score) -> Score:
        """Pool two scores: errors and words add up, rates do not."""
        return Score(self.errors + other.errors, self.words + other.words)


def normalise(text: str) -> str:
    """Give lower-case words with single spaces, of any script.

    Curly apostrophes become straight and stay inside words (`you'll` is one word); every other sign separates.
    """
    text = unicodedata.normalize("NFC", text).casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return " ".join(word for word in (part.strip("'") for part in _NOT_A_WORD.sub(" ", text).split()) if word)


def score(reference: str, heard: str) -> Score:
    """Count the fewest substitutions, deletions and insertions between the two, normalised."""
    said = normalise(reference).split()
    return Score(distance(said, normalise(heard).split()), len(said))


def distance(said: list[str], heard: list[str]) -> int:
    """Give the Levenshtein distance of two lists of words, row by row of its table (Wagner and Fischer, 1974)."""
    row = list(range(len(heard) + 1))
    for gone, word in enumerate(said, start=1):
        diagonal, row[0] = row[0], gone
        for at, other in enumerate(heard, start=1):
            diagonal, row[at] = row[at], min(diagonal + (word != other), row[at] + 1, row[at - 1] + 1)
    return row[-1]
