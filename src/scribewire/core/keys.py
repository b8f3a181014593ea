"""Keys: make, parse, hash and compare the secrets of callers, and the table of scopes."""

from __future__ import annotations

import hmac
import re
import string
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final


class Scope(StrEnum):
    """A right that a key carries."""

    ADMIN = "admin"
    REALTIME = "realtime"


SCOPES: Final[Mapping[Scope, str]] = {
    Scope.ADMIN: "Start the service, see its fleet, make and revoke keys, read the reports of every session.",
    Scope.REALTIME: "Stream audio and read the reports of its own sessions.",
}

# What a secret opens is told by its prefix alone.
KEY_PREFIX: Final = "sw_"
TICKET_PREFIX: Final = "swt_"
SHARE_PREFIX: Final = "sww_"
# 192 bits: 30 of them are shown to tell keys apart, which leaves 160 that nobody but the caller knows.
ENTROPY_BYTES: Final = 24
SHOWN_CHARS: Final = len(KEY_PREFIX) + 5

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY_CHARS: Final = 33  # 62 ** 33 just exceeds 2 ** 192
_CHECKSUM_CHARS: Final = 6  # and 62 ** 6 exceeds 2 ** 32
_SHAPE: Final = re.compile(rf"(sw[tw]?_)[0-9A-Za-z]{{{_BODY_CHARS + _CHECKSUM_CHARS}}}")


class Secret:
    """The text of a key, a ticket or a share. Shows itself only when asked by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"Secret({self.shown}…)"

    __str__ = __repr__

    def reveal(self) -> str:
        """Give the text itself."""
        return self._text

    @property
    def shown(self) -> str:
        """Give the beginning, which names the key to people and finds it in the store."""
        return self._text[:SHOWN_CHARS]

    @property
    def hash(self) -> bytes:
        """Give what is stored of it: SHA-256, for text this random needs no slower one."""
        return sha256(self._text.encode()).digest()

    def matches(self, stored: bytes) -> bool:
        """Compare with a stored hash, in constant time."""
        return hmac.compare_digest(self.hash, stored)


def make_secret(entropy: bytes, prefix: str = KEY_PREFIX) -> Secret:
    """Spell `ENTROPY_BYTES` random bytes as prefix, base 62 digits (least significant first) and checksum."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a secret takes {ENTROPY_BYTES} random bytes")
    text = prefix + _spell(int.from_bytes(entropy), _BODY_CHARS)
    return Secret(text + _checksum(text))


def parse_secret(text: str, prefix: str = KEY_PREFIX) -> Secret | None:
    """Read a secret; None when none of that kind can have that text, so that a typo costs no look-up."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or shape[1] != prefix or _checksum(text[:-_CHECKSUM_CHARS]) != text[-_CHECKSUM_CHARS:]:
        return None
    return Secret(text)


def _checksum(text: str) -> str:
    return _spell(zlib.crc32(text.encode()), _CHECKSUM_CHARS)


def _spell(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a credential, its secret apart. `prefix` is how the secret begins."""

    id: str
    name: str
    prefix: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    max_sessions: int | None = None

    def is_valid(self, at: datetime) -> bool:
        """Say whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)
