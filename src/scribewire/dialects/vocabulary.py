"""Vocabulary: the words and phrases to expect, as protocols list them that set no bounds of ours."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

# Enough for the names of a meeting; more would cost every stream and bias it towards none of them.
MAX_PHRASES: Final = 200
MAX_PHRASE_CHARACTERS: Final = 64


def fit_vocabulary(phrases: Iterable[str]) -> tuple[str, ...]:
    """Give the first of them that the bounds allow, each once, single spaces within. It is a hint: no more is lost."""
    tidy = dict.fromkeys(" ".join(phrase.split()) for phrase in phrases)
    return tuple(islice((phrase for phrase in tidy if 0 < len(phrase) <= MAX_PHRASE_CHARACTERS), MAX_PHRASES))
