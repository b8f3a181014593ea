"""Tickets: for one session, one minute and one origin, whichever gateway they are shown to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from scribewire.core.keys import TICKET_PREFIX, Key, Scope, make_secret
from scribewire.errors import NotAuthenticated
from scribewire.gateway import tickets as tickets_module
from scribewire.gateway.store import Store
from scribewire.gateway.tickets import Terms, Tickets
from tests.gateway.databases import run_sql

PAGE = "https://captions.example"


@pytest.fixture
async def key(store: Store) -> Key:
    return (await store.create_key("speaker", scopes=frozenset({Scope.REALTIME}), max_sessions=3))[0]


async def test_a_ticket_allows_what_its_key_does_and_no_more_than_was_asked(store: Store, key: Key) -> None:
    secret, expires_at = await Tickets(store).issue(key.id, Terms(60, PAGE, "de", "fast", "s1"))
    assert timedelta(seconds=50) < expires_at - datetime.now(UTC) <= timedelta(seconds=60)
    grant = await Tickets(store).examine(secret.reveal(), PAGE)
    assert (grant.key_id, grant.key_name, grant.max_sessions) == (key.id, "speaker", 3)
    assert (grant.max_s, grant.language, grant.type, grant.share) == (60, "de", "fast", "s1")
    assert secret.reveal() not in repr(grant)


async def test_a_ticket_is_spent_once_by_whoever_is_first(store: Store, key: Key) -> None:
    one, other = Tickets(store), Tickets(store)
    secret, _ = await one.issue(key.id, Terms(60))
    grants = [await tickets.examine(secret.reveal(), None) for tickets in (one, other)]
    spends = [tickets.spend(grant.ticket or b"") for tickets, grant in zip((one, other), grants, strict=True)]
    outcomes = await asyncio.gather(*spends, return_exceptions=True)
    assert sorted(map(type, outcomes), key=str) == [type(None), NotAuthenticated]
    with pytest.raises(NotAuthenticated):
        await one.examine(secret.reveal(), None)


@pytest.mark.parametrize("origin", [None, "https://elsewhere.example", "null", PAGE + "/"])
async def test_a_ticket_holds_for_no_other_origin(store: Store, key: Key, origin: str | None) -> None:
    secret, _ = await Tickets(store).issue(key.id, Terms(60, PAGE))
    with pytest.raises(NotAuthenticated):
        await Tickets(store).examine(secret.reveal(), origin)


async def test_a_ticket_ends_unspent_and_is_swept(
    store: Store, url: str, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = Tickets(store)
    monkeypatch.setattr(tickets_module, "LIFE_S", -1.0)
    late, _ = await tickets.issue(key.id, Terms(60))
    with pytest.raises(NotAuthenticated):
        await tickets.examine(late.reveal(), None)
    with pytest.raises(NotAuthenticated):
        await tickets.spend(late.hash)
    await tickets.issue(key.id, Terms(60))
    assert [tuple(row) for row in await run_sql(url, "SELECT count(*) FROM tickets")] == [(1,)]


async def test_a_ticket_ends_with_its_key(store: Store, key: Key) -> None:
    secret, _ = await Tickets(store).issue(key.id, Terms(60))
    await store.revoke_key(key.id)
    with pytest.raises(NotAuthenticated):
        await Tickets(store).examine(secret.reveal(), None)


@pytest.mark.parametrize("text", ["", "swt_", "swt_no", make_secret(bytes(24), TICKET_PREFIX).reveal()])
async def test_what_was_never_given_is_no_ticket(store: Store, text: str) -> None:
    with pytest.raises(NotAuthenticated):
        await Tickets(store).examine(text, None)
