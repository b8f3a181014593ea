"""Words: what one is, and what a stream claims of them, brought within what the contract promises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Word(NamedTuple):
    """One recognised word. Positions are counted from the start of the session's audio, at 16 kHz."""

    text: str
    start_sample: int
    end_sample: int
    confidence: float  # 0…1, a real posterior


def bound_words(words: Iterable[Word], first_sample: int, end_sample: int) -> tuple[Word, ...]:
    """Give those that have a text, their times in order and within the segment, their confidence in 0…1."""
    bounded: list[Word] = []
    at = first_sample
    for word in words:
        if word.text:
            start = min(max(word.start_sample, at), end_sample)
            at = min(max(word.end_sample, start), end_sample)
            confidence = word.confidence if 0.0 <= word.confidence <= 1.0 else 0.0
            bounded.append(Word(word.text, start, at, confidence))
    return tuple(bounded)
