"""Several gateways on one store and the same workers: one scales, whoever is asked, and another when it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from scribewire.gateway import fleet as fleet_module
from scribewire.gateway import peers as peers_module
from scribewire.gateway.fleet import Fleet, Status
from scribewire.gateway.peers import Peers
from scribewire.gateway.store import Store
from tests.gateway.databases import sqlite_url
from tests.gateway.doubles import InMemoryScaler, ScriptedWorker, eventually
from tests.gateway.fleets import REQUEST, ignore, settings

LEASE_S = 2.0


class Pair:
    """Two fleets, `one` of which leads, and what their scalers were asked. The workers are the same."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.scalers = [InMemoryScaler(folder, (ScriptedWorker,)) for _ in range(2)]
        self.scalers[1].workers = self.scalers[0].workers
        self.scalers[1].made = 10  # so that their names differ
        chosen = settings(max_workers=3, cooldown_s=0.3, idle_s=60)
        self.one, self.two = (
            Fleet(chosen, scaler, store, name=name, peers=Peers(store, name))
            for scaler, name in zip(self.scalers, ("one", "two"), strict=True)
        )

    @property
    def scaled(self) -> list[list[int]]:
        return [[count for count, _ in scaler.scaled] for scaler in self.scalers]


@pytest.fixture
async def pair(tmp_path: Path, folder: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(fleet_module, "PERIOD_S", 0.02)
    monkeypatch.setattr(peers_module, "CHECK_IN_S", 0.05)
    monkeypatch.setattr(peers_module, "LEASE_S", LEASE_S)
    (tmp_path / "store.db").write_bytes(empty_store.read_bytes())
    async with AsyncExitStack() as stack:
        store = await Store.open(sqlite_url(tmp_path / "store.db"))
        stack.push_async_callback(store.close)
        pair = Pair(store, folder)
        for fleet in (pair.one, pair.two):
            await fleet.start()
            stack.push_async_callback(fleet.stop)
            await asyncio.sleep(0.1)
        yield pair


async def test_a_follower_that_is_asked_has_the_leader_scale_once(pair: Pair) -> None:
    await asyncio.gather(*(fleet.initialize() for _ in range(50) for fleet in (pair.one, pair.two)))
    assert pair.scaled == [[1], []]
    await eventually(lambda: pair.one.status() is pair.two.status() is Status.READY)


async def test_what_one_was_asked_for_no_other_denies(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_module, "CHECK_IN_S", 60)  # they will not hear of it by themselves
    await asyncio.sleep(0.1)
    await pair.one.initialize()
    assert pair.two.status() is Status.SCALED_DOWN
    assert (await pair.two.open_stream(REQUEST, ignore)).worker == "w1"


async def test_while_the_scaler_is_slow_no_other_denies_it(pair: Pair) -> None:
    pair.scalers[0].hangs = True
    asked = asyncio.create_task(pair.one.initialize())
    await eventually(lambda: pair.scalers[0].scaled)
    await eventually(lambda: pair.two.status() is Status.STARTING)
    for _ in range(10):
        assert pair.two.status() is Status.STARTING
        await asyncio.sleep(peers_module.CHECK_IN_S / 2)
    asked.cancel()


async def test_what_waits_at_a_follower_counts(pair: Pair) -> None:
    await pair.two.initialize()
    opening = [asyncio.create_task(pair.two.open_stream(REQUEST, ignore)) for _ in range(4)]
    await asyncio.gather(*opening)
    assert pair.scaled[0][-1] >= 2
    assert pair.scaled[1] == []
    await eventually(lambda: pair.two.view().target == pair.one.view().target)


async def test_another_scales_when_the_leader_is_gone(pair: Pair) -> None:
    await pair.two.initialize()
    pair.scalers[0].workers = {}  # it takes none with it
    await pair.one.stop()
    await asyncio.gather(*(pair.two.open_stream(REQUEST, ignore) for _ in range(4)))
    assert pair.scaled[1][-1] >= 2
    assert pair.two.status() is Status.READY


async def test_a_leader_that_loses_its_store_scales_no_longer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    await pair.one.initialize()
    before = len(pair.scaled[0])
    meeting = pair.one._meeting
    assert meeting is not None

    async def fails(**_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(meeting._peers, "check_in", fails)
    await eventually(lambda: not meeting.scales)
    await asyncio.gather(*(pair.two.open_stream(REQUEST, ignore) for _ in range(4)))
    assert len(pair.scaled[0]) == before
    assert pair.scaled[1][-1] >= 2
