"""Keys: what a secret looks like, that typos are told apart, and that it never shows itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire.core.keys import (
    ENTROPY_BYTES,
    KEY_PREFIX,
    SCOPES,
    SHOWN_CHARS,
    TICKET_PREFIX,
    Key,
    Scope,
    make_secret,
    parse_secret,
)

entropies = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)
SECRET = make_secret(bytes(range(ENTROPY_BYTES)))
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def key(*, expires_at: datetime | None = None, revoked_at: datetime | None = None) -> Key:
    return Key("1", "a key", "sw_", frozenset(Scope), NOW, expires_at, revoked_at)


def test_the_spelling_of_a_secret_never_changes() -> None:
    assert SECRET.reveal() == "sw_RAKQvOgGnHaKu9UFpCZz76WEP5ld7A000t2dzO0"


@given(entropies)
def test_every_secret_is_read_back(entropy: bytes) -> None:
    secret = make_secret(entropy)
    parsed = parse_secret(secret.reveal())
    assert parsed is not None
    assert parsed.matches(secret.hash)


@given(entropies, entropies)
def test_different_entropy_makes_different_secrets(one: bytes, other: bytes) -> None:
    assert (make_secret(one).reveal() == make_secret(other).reveal()) == (one == other)


@given(entropies, st.integers(min_value=len(KEY_PREFIX), max_value=41), st.sampled_from("0Aaz"))
def test_one_wrong_character_is_told_without_a_look_up(entropy: bytes, at: int, wrong: str) -> None:
    text = make_secret(entropy).reveal()
    typo = text[:at] + wrong + text[at + 1 :]
    assert (parse_secret(typo) is None) == (typo != text)


@given(st.text())
def test_other_text_is_no_secret(text: str) -> None:
    assert parse_secret(text) is None


def test_a_secret_with_anything_around_it_is_no_secret() -> None:
    text = SECRET.reveal()
    assert [parse_secret(odd) for odd in (text + "\n", " " + text, text + "0", text[:-1])] == [None] * 4


def test_a_secret_is_never_a_ticket() -> None:
    assert not SECRET.reveal().startswith(TICKET_PREFIX)
    assert parse_secret(TICKET_PREFIX + SECRET.reveal().removeprefix(KEY_PREFIX)) is None


def test_a_secret_shows_only_its_beginning() -> None:
    for shown in (str(SECRET), repr(SECRET), f"{SECRET}", f"{[SECRET]}"):
        assert SECRET.reveal()[: SHOWN_CHARS + 1] not in shown
        assert SECRET.shown in shown


def test_enough_stays_unknown_when_the_beginning_is_shown() -> None:
    shown_bits = (SHOWN_CHARS - len(KEY_PREFIX)) * 5.96
    assert ENTROPY_BYTES * 8 - shown_bits >= 160


def test_a_hash_of_another_secret_does_not_match() -> None:
    assert not SECRET.matches(make_secret(bytes(ENTROPY_BYTES)).hash)


def test_too_little_entropy_is_refused() -> None:
    with pytest.raises(ValueError, match="24 random bytes"):
        make_secret(b"too little")


def test_every_scope_has_its_sentence() -> None:
    assert set(SCOPES) == set(Scope)


def test_a_key_is_valid_until_it_expires_or_is_revoked() -> None:
    later = NOW + timedelta(seconds=1)
    assert key().is_valid(NOW)
    assert key(expires_at=later).is_valid(NOW)
    assert not key(expires_at=later).is_valid(later)
    assert not key(revoked_at=NOW).is_valid(NOW)
