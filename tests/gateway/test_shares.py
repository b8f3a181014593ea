"""Shares: whoever has the secret reads along, from any gateway's store; only the owner sees and ends them."""

from __future__ import annotations

import pytest

from scribewire.core import events as ev
from scribewire.core.keys import Key, Scope
from scribewire.errors import AtCapacity, NotAuthenticated, NotFound
from scribewire.gateway import shares as shares_module
from scribewire.gateway.shares import Shares
from scribewire.gateway.store import Store
from scribewire.metrics import Metrics


@pytest.fixture
async def owner(store: Store) -> Key:
    return (await store.create_key("speaker", scopes=frozenset({Scope.REALTIME})))[0]


def shares_of(store: Store, *, max_viewers: int = 10) -> Shares:
    return Shares(store, Metrics(), max_viewers=max_viewers)


async def test_the_secret_opens_a_share_and_the_owner_finds_it(store: Store, owner: Key) -> None:
    share, secret = await shares_of(store).create(owner.id)
    assert await shares_of(store).open(secret.reveal()) == share
    assert await shares_of(store).find(share.id, owner.id) == share


@pytest.mark.parametrize("secret", [None, "", "sww_nothing"])
async def test_nothing_else_opens_one(store: Store, owner: Key, secret: str | None) -> None:
    await shares_of(store).create(owner.id)
    with pytest.raises(NotAuthenticated):
        await shares_of(store).open(secret)


async def test_a_share_is_nobody_elses(store: Store, owner: Key) -> None:
    share, _ = await shares_of(store).create(owner.id)
    for call in (shares_of(store).find, shares_of(store).close):
        with pytest.raises(NotFound):
            await call(share.id, "somebody")


async def test_a_share_ends_with_its_key_and_in_time(store: Store, owner: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    _, kept = await shares_of(store).create(owner.id)
    monkeypatch.setattr(shares_module, "LIFE_S", -1.0)
    _, late = await shares_of(store).create(owner.id)
    await store.revoke_key(owner.id)
    for secret in (kept, late):
        with pytest.raises(NotAuthenticated):
            await shares_of(store).open(secret.reveal())


async def test_an_ended_share_sends_its_readers_away(store: Store, owner: Key) -> None:
    shares = shares_of(store)
    share, secret = await shares.create(owner.id)
    viewer = shares.join(share)
    await shares.close(share.id, owner.id)
    said: list[str] = []

    async def send(text: str) -> None:
        said.append(text)

    await viewer.write(send)
    assert (said[-1], viewer.close_code) == ('{"state":"stopped"}', 1000)
    with pytest.raises(NotAuthenticated):
        await shares.open(secret.reveal())


async def test_there_are_no_more_readers_than_may_be(store: Store, owner: Key) -> None:
    shares = shares_of(store, max_viewers=1)
    share, _ = await shares.create(owner.id)
    viewer = shares.join(share)
    with pytest.raises(AtCapacity):
        shares.join(share)
    shares.leave(share, viewer)
    shares.join(share)


async def test_a_gateway_that_stops_sends_all_readers_away_and_takes_no_more(store: Store, owner: Key) -> None:
    shares = shares_of(store)
    share, _ = await shares.create(owner.id)
    viewer = shares.join(share)
    shares.stop()
    assert viewer.close_code == 1001
    with pytest.raises(AtCapacity):
        shares.join(share)


async def test_what_was_said_on_a_share_that_was_left_long_ago_is_forgotten(
    store: Store, owner: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = shares_of(store)
    share, _ = await shares.create(owner.id)
    audience = shares.audience(share.id)
    session = shares.show(share.id, "s1")
    session.tell(ev.Final((ev.Word("hi", 0, 100, 0.9),), 16_000))
    session.end()
    assert shares.audience(share.id) is audience
    monkeypatch.setattr(shares_module, "FORGET_S", -1.0)
    assert shares.audience(share.id) is not audience
