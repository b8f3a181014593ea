"""Gateways on one store: one leads, all are summed, none outlives its silence, and a key's limit holds over all."""

from __future__ import annotations

import asyncio

import pytest

from scribewire.core.keys import Scope
from scribewire.errors import SessionLimit
from scribewire.gateway import peers as peers_module
from scribewire.gateway.peers import Peers
from scribewire.gateway.store import Store

# For the tests that outlast it; what the others do at once may take longer where there is much to do.
LEASE_S = 1.0


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_module, "LEASE_S", LEASE_S)


@pytest.fixture
def pair(store: Store) -> tuple[Peers, Peers]:
    return Peers(store, "one"), Peers(store, "two")


async def test_the_first_leads_and_goes_on_leading(pair: tuple[Peers, Peers]) -> None:
    one, two = pair
    for _ in range(3):
        assert (await one.check_in(live=0, waiting=0)).leads
        assert not (await two.check_in(live=0, waiting=0)).leads


@pytest.mark.usefixtures("short_lease")
async def test_a_leader_that_falls_silent_is_followed_by_another_and_counts_no_longer(
    pair: tuple[Peers, Peers],
) -> None:
    one, two = pair
    await one.check_in(live=3, waiting=1)
    standing = await two.check_in(live=2, waiting=0)
    assert (standing.leads, standing.live, standing.waiting) == (False, 5, 1)
    await asyncio.sleep(LEASE_S + 0.05)
    standing = await two.check_in(live=2, waiting=0)
    assert (standing.leads, standing.live, standing.waiting) == (True, 2, 0)
    assert not (await one.check_in(live=3, waiting=0)).leads


async def test_a_leader_that_leaves_is_followed_at_once(pair: tuple[Peers, Peers]) -> None:
    one, two = pair
    await one.check_in(live=3, waiting=0)
    await one.check_out()
    standing = await two.check_in(live=1, waiting=0)
    assert (standing.leads, standing.live) == (True, 1)


async def test_who_does_not_want_the_lead_gives_it_up(pair: tuple[Peers, Peers]) -> None:
    one, two = pair
    await one.check_in(live=0, waiting=0)
    assert not (await one.check_in(live=0, waiting=0, lead=False)).leads
    assert (await two.check_in(live=0, waiting=0)).leads


async def test_an_initialize_is_seen_by_all(store: Store, pair: tuple[Peers, Peers]) -> None:
    one, two = pair
    before = (await one.check_in(live=0, waiting=0)).asked
    for _ in range(2):
        await two.check_in(live=0, waiting=0, ask=True)
    await store.write_target(3)
    standing = await one.check_in(live=0, waiting=0)
    assert (standing.asked, standing.wanted) == (before + 2, 3)


async def test_many_that_check_in_at_once_have_one_leader(store: Store) -> None:
    peers = [Peers(store, f"g{n}") for n in range(8)]
    standings = await asyncio.gather(*(one.check_in(live=1, waiting=0) for one in peers))
    assert sum(standing.leads for standing in standings) == 1
    # Two that are at it together may miss one another, this once.
    assert (await peers[0].check_in(live=1, waiting=0)).live == 8


async def test_the_limit_of_a_key_holds_over_all_gateways(store: Store, pair: tuple[Peers, Peers]) -> None:
    one, two = pair
    key, _ = await store.create_key("limited", scopes=frozenset(Scope), max_sessions=2)
    for peer in pair:
        await peer.check_in(live=0, waiting=0)
    await one.count_in("s1", key.id, 2)
    await two.count_in("s2", key.id, 2)
    with pytest.raises(SessionLimit):
        await two.count_in("s3", key.id, 2)
    await one.count_out("s1")
    await one.count_out("s1")
    await two.count_in("s3", key.id, 2)


async def test_many_at_once_pass_no_limit(store: Store, pair: tuple[Peers, Peers]) -> None:
    key, _ = await store.create_key("limited", scopes=frozenset(Scope), max_sessions=3)
    for peer in pair:
        await peer.check_in(live=0, waiting=0)
    asked = (pair[n % 2].count_in(f"s{n}", key.id, 3) for n in range(10))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(SessionLimit) == 7


@pytest.mark.usefixtures("short_lease")
async def test_sessions_of_a_gateway_that_died_count_no_longer(store: Store, pair: tuple[Peers, Peers]) -> None:
    one, two = pair
    key, _ = await store.create_key("limited", scopes=frozenset(Scope), max_sessions=1)
    await one.check_in(live=0, waiting=0)
    await one.count_in("s1", key.id, 1)
    await asyncio.sleep(LEASE_S + 0.05)
    await two.check_in(live=0, waiting=0)
    await two.count_in("s2", key.id, 1)


@pytest.mark.usefixtures("short_lease")
async def test_what_the_dead_leave_is_swept(
    store: Store, pair: tuple[Peers, Peers], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    key, _ = await store.create_key("limited", scopes=frozenset(Scope), max_sessions=1)
    await one.check_in(live=0, waiting=0)
    await one.count_in("s1", key.id, 1)
    monkeypatch.setattr(peers_module, "FORGET_S", LEASE_S)
    await asyncio.sleep(LEASE_S + 0.05)
    assert (await two.check_in(live=0, waiting=0)).leads
    await one.check_in(live=0, waiting=0)
    await one.count_in("s1", key.id, 1)  # its row is gone: the same id may come again
