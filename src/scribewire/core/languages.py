"""Languages: what a client asked for, resolved against what is configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from scribewire.errors import UnknownLanguage, UnknownType

TYPES: Final = ("fast", "quality")


class Profile(NamedTuple):
    """What a session wants to be recognised with, already resolved against the settings."""

    language: str
    type: str


def resolve(
    *, language: str | None, kind: str | None, configured: Mapping[str, Mapping[str, str]], default: str
) -> Profile:
    """Give the profile that serves a request.

    `configured` maps a language tag to the engine choice of each type. A language is its exact id, else its lower-cased
    tag, else its primary subtag (`en-US` to `en`). Raises UnknownLanguage or UnknownType.
    """
    kind = kind or TYPES[0]
    if kind not in TYPES:
        raise UnknownType
    asked = language or default
    lowered = asked.lower().replace("_", "-")
    for tag in (asked, lowered, lowered.partition("-")[0]):
        if tag in configured:
            if not configured[tag].get(kind):
                raise UnknownType(f"Type {kind} is not configured for language {tag}.")
            return Profile(tag, kind)
    raise UnknownLanguage
