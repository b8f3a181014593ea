"""Words from the tokens of a recogniser: marks, byte tokens, and characters that are words by themselves.

Three ways to spell are told apart by the vocabulary: `▁` (or a blank) before a token that begins a word, `@@` after one
that goes on, and a word a token. In scripts that are written without blanks each character is a word of its own: it has
a time of its own then, and a text joined by blanks shows where.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_BEGINNINGS: Final = ("▁", " ")
_GOES_ON: Final = "@@"
_BYTE: Final = re.compile(r"<0x([0-9A-F]{2})>")
_SPECIAL: Final = re.compile(r"<[^<>]+>")
# Kana, ideographs and their extensions.
_ALONE: Final = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_FIRST_ALONE: Final = chr(_ALONE[0][0])
_ASCII: Final = range(32, 127)
# Characters that Unicode would compose or split, and that byte-level BPE passes over.
_UNSTABLE: Final = frozenset({306, 307, 319, 320, 329, 383})
# The first that only a byte above 216 has; a vocabulary without it is taken for Latin text.
_HIGH_CARRIER: Final = "ƀ"


def _carriers() -> dict[str, int]:
    """Give the character for each byte in byte-level BPE of the Icefall recipes (icefall/byte_utils.py)."""
    others = (code for code in range(0x100, 0x200) if code not in _UNSTABLE)
    return {chr(byte if byte in _ASCII else next(others)): byte for byte in range(256)}


_CARRIERS: Final = _carriers()


@dataclass(frozen=True, slots=True)
class Token:
    """One token as the recogniser gave it. `log_prob` is None where it gives none."""

    text: str
    start_samples: int
    log_prob: float | None = None


@dataclass(slots=True)
class Spelled:
    """One word and the tokens that it came from."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)

    @property
    def start_samples(self) -> int:
        """Give where its first token stands."""
        return self.tokens[0].start_samples

    @property
    def last_start_samples(self) -> int:
        """Give where its last token stands."""
        return self.tokens[-1].start_samples

    @property
    def probability(self) -> float | None:
        """Give the geometric mean of its tokens' probabilities, or None when they have none."""
        known = [token.log_prob for token in self.tokens if token.log_prob is not None]
        return math.exp(min(0.0, sum(known) / len(known))) if known else None


class _Piece(NamedTuple):
    """What a token adds to a text, and whether a word begins before it or ends after it."""

    raw: bytes
    begins: bool = False
    ends: bool = False


class Spelling:
    """How one vocabulary writes words."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        plain = [token for token in vocabulary if not _SPECIAL.fullmatch(token)]
        marked = any(token.startswith(_BEGINNINGS) for token in plain)
        characters = {char for token in plain for char in token} - set(_BEGINNINGS)
        self.by_bytes = marked and _CARRIERS.keys() >= characters and max(characters, default="") >= _HIGH_CARRIER
        self.in_pieces = marked
        self.has_lone_characters = any(map(_is_alone, characters))
        # With each character a token, any phrase of them can be encoded.
        self._alphabet = {bare for token in plain if len(bare := token.removeprefix("▁")) == 1}
        self._to_case = _case_of(characters)
        self._known: dict[str, _Piece] = {}

    def spell(self, tokens: Iterable[Token]) -> list[Spelled]:
        """Join tokens to words, lower-cased, in order."""
        words: list[Spelled] = []
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        begins = True
        for token in tokens:
            piece = self._known.get(token.text) or self._take_apart(token.text)
            begins = begins or piece.begins
            for char in decoder.decode(piece.raw):
                if char.isspace():
                    begins = True
                    continue
                if begins or _is_alone(char):
                    words.append(Spelled())
                word = words[-1]
                word.text += char.lower()
                if not word.tokens or word.tokens[-1] is not token:
                    word.tokens.append(token)
                begins = _is_alone(char)
            begins = begins or piece.ends
        return words

    def write(self, phrase: str) -> str | None:
        """Give a phrase in the vocabulary's case, or None when it has characters that are no tokens."""
        phrase = " ".join(self._to_case(phrase).split())
        is_writable = self.by_bytes or set(phrase) - {" "} <= self._alphabet
        return phrase if phrase and is_writable else None

    def _take_apart(self, text: str) -> _Piece:
        if byte := _BYTE.fullmatch(text):
            piece = _Piece(bytes([int(byte[1], 16)]))
        elif _SPECIAL.fullmatch(text):
            piece = _Piece(b"")
        elif self.in_pieces:
            bare = text[1:] if text.startswith(_BEGINNINGS) else text
            raw = bytes(_CARRIERS.get(char, ord(" ")) for char in bare) if self.by_bytes else bare.encode()
            piece = _Piece(raw, begins=bare != text)
        else:
            piece = _Piece(text.removesuffix(_GOES_ON).encode(), ends=not text.endswith(_GOES_ON))
        # As many as the vocabulary has, at most.
        self._known[text] = piece
        return piece


def _is_alone(char: str) -> bool:
    return char >= _FIRST_ALONE and any(first <= ord(char) <= last for first, last in _ALONE)


def _case_of(characters: set[str]) -> Callable[[str], str]:
    """Give what writes a text in the one case that a vocabulary has."""
    has_upper, has_lower = any(map(str.isupper, characters)), any(map(str.islower, characters))
    if has_upper == has_lower:
        return str
    return str.upper if has_upper else str.lower
