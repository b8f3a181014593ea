"""The relay: readers at any gateway read what is said at any other, all of it and once, whoever comes and dies when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from scribewire.core import events as ev
from scribewire.core.keys import Key, Scope
from scribewire.gateway import relay as relay_module
from scribewire.gateway.audience import Audience, Line, Viewer
from scribewire.gateway.relay import Relay
from scribewire.gateway.shares import Share, Shares, Showing
from scribewire.gateway.store import Store
from scribewire.metrics import Metrics
from tests.gateway.databases import create_database, run_sql
from tests.gateway.doubles import eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
async def url(cluster: str) -> str:
    """Give an empty database of the only kind that gateways share."""
    return await create_database(cluster)


@pytest.fixture
async def owner(store: Store) -> Key:
    return (await store.create_key("speaker", scopes=frozenset({Scope.REALTIME})))[0]


@dataclass
class Gateway:
    """As much of a gateway as shares need."""

    store: Store
    shares: Shares


@asynccontextmanager
async def gateway(url: str, name: str) -> AsyncIterator[Gateway]:
    store = await Store.open(url)
    relay = Relay(store, name)
    running = asyncio.create_task(relay.run())
    try:
        yield Gateway(store, Shares(store, Metrics(), max_viewers=10, relay=relay))
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await store.close()


class Reader:
    """A viewer, and what it read."""

    def __init__(self, viewer: Viewer) -> None:
        self.said: list[dict[str, object]] = []
        self._task = asyncio.create_task(viewer.write(self._take))

    async def _take(self, text: str) -> None:
        self.said.append(json.loads(text))

    @property
    def finals(self) -> list[object]:
        return [message["text"] for message in self.said if message.get("is_final")]

    @property
    def states(self) -> list[object]:
        return [message["state"] for message in self.said if "state" in message]


async def come_true(holds: Callable[[], object]) -> None:
    """Wait for what may take a round of wants."""
    await eventually(holds, within_s=20)


def final(showing: Showing, text: str) -> None:
    showing.tell(ev.Final((ev.Word(text, 0, 16_000, 0.9),), 16_000))


async def test_a_reader_elsewhere_gets_the_finals_so_far_and_then_what_is_said(url: str, owner: Key) -> None:
    async with gateway(url, "one") as one, gateway(url, "two") as two:
        share, _ = await one.shares.create(owner.id)
        session = one.shares.show(share.id, "s1")
        final(session, "alfa")
        reader = Reader(two.shares.join(share))
        await come_true(lambda: reader.finals == ["alfa"] and "speaking" in reader.states)
        session.tell(ev.Partial("bra", 8_000, 0.5))
        await come_true(lambda: reader.said[-1].get("text") == "bra")
        final(session, "bravo")
        session.end()
        await come_true(lambda: reader.states[-1] == "paused")
        assert reader.finals == ["alfa", "bravo"]


async def test_a_speaker_that_comes_back_at_another_gateway_goes_on_for_all(url: str, owner: Key) -> None:
    async with gateway(url, "one") as one, gateway(url, "two") as two:
        share, _ = await one.shares.create(owner.id)
        here, there = Reader(one.shares.join(share)), Reader(two.shares.join(share))
        first = one.shares.show(share.id, "s1")
        await come_true(lambda: "speaking" in there.states)
        final(first, "alfa")
        first.end()
        await come_true(lambda: there.states[-1] == here.states[-1] == "paused")
        second = two.shares.show(share.id, "s2")
        await come_true(lambda: here.states[-1] == "speaking")
        final(second, "bravo")
        for reader in (here, there):
            await come_true(lambda reader=reader: reader.finals == ["alfa", "bravo"])  # type: ignore[misc]
        late = Reader(one.shares.join(share))
        await come_true(lambda: late.finals == ["alfa", "bravo"])


async def test_nothing_is_said_where_nobody_wants_it(url: str, owner: Key) -> None:
    async with gateway(url, "one") as one, gateway(url, "two") as two:
        share, _ = await one.shares.create(owner.id)
        other, _ = await one.shares.create(owner.id)
        heard: list[str] = []
        async with two.store.notices(relay_module.CHANNEL, heard.append):
            session = one.shares.show(share.id, "s1")
            for number in range(50):
                final(session, str(number))
            two.shares.join(other)
            await come_true(lambda: any(other.id in notice for notice in heard))
        assert {json.loads(notice)["kind"] for notice in heard} <= {"want", "begin"}


async def test_a_gateway_that_died_speaks_no_more(url: str, owner: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "WANT_S", 0.1)
    monkeypatch.setattr(relay_module, "BELIEVED_S", 0.5)
    async with gateway(url, "two") as two:
        async with gateway(url, "one") as one:
            share, _ = await one.shares.create(owner.id)
            reader = Reader(two.shares.join(share))
            final(one.shares.show(share.id, "s1"), "alfa")
            await come_true(lambda: reader.finals == ["alfa"] and "speaking" in reader.states)
        await come_true(lambda: reader.states[-1] == "paused")


async def test_a_lost_connection_is_made_again_and_what_was_said_meanwhile_is_read(url: str, owner: Key) -> None:
    async with gateway(url, "one") as one, gateway(url, "two") as two:
        share: Share = (await one.shares.create(owner.id))[0]
        session = one.shares.show(share.id, "s1")
        reader = Reader(two.shares.join(share))
        await come_true(lambda: "speaking" in reader.states)
        await run_sql(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        final(session, "alfa")
        await come_true(lambda: reader.finals == ["alfa"])


class Notices(Store):
    """A store for notices alone, in memory. It may be out of reach."""

    def __init__(self, all_of_them: list[Notices]) -> None:
        self.carried: list[str] = []
        self.listening = False
        self.reachable = asyncio.Event()
        self.reachable.set()
        self._all = all_of_them
        self._all.append(self)
        self._hear: Callable[[str], None] = lambda notice: None
        self._broken = asyncio.Event()

    async def notify(self, channel: str, notice: str) -> None:
        self.carried.append(json.loads(notice)["kind"])
        for one in self._all:
            if not one._broken.is_set():
                one._hear(notice)

    @asynccontextmanager
    async def notices(self, channel: str, hear: Callable[[str], None]) -> AsyncIterator[asyncio.Event]:
        await self.reachable.wait()
        self._hear = hear
        self._broken.clear()
        self.listening = True
        yield self._broken

    def cut(self) -> None:
        self.reachable.clear()
        self._broken.set()


async def test_what_is_said_while_nobody_can_hear_is_read_whoever_hears_first_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "_RETRY_S", 0.01)
    monkeypatch.setattr(relay_module, "WANT_S", 3600)
    together: list[Notices] = []
    stores = [Notices(together), Notices(together)]
    speaking, reading = (Relay(store, name) for store, name in zip(stores, ("one", "two"), strict=True))
    spoken, read = Audience(now=0.0), Audience(now=0.0)
    read.join()
    speaking.attach({"s": spoken})
    reading.attach({"s": read})
    running = [asyncio.create_task(relay.run()) for relay in (speaking, reading)]

    def say(number: int) -> None:
        line = Line(float(number), f"line-{number}", "{}")
        spoken.add(line)
        speaking.add("s", line)

    await eventually(lambda: all(store.listening for store in stores))
    wants = stores[1].carried.count("want")
    speaking.begin("s", "speaker")
    await eventually(lambda: read.live and stores[1].carried.count("want") > wants)
    say(1)
    await eventually(lambda: len(read.lines) == 1)
    for store in stores:
        store.cut()
    say(2)
    await eventually(lambda: stores[0].carried.count("final") == 2)
    assert len(read.lines) == 1
    wants = stores[1].carried.count("want")
    stores[1].reachable.set()
    await eventually(lambda: stores[1].carried.count("want") > wants)
    stores[0].reachable.set()
    await eventually(lambda: len(read.lines) == 2)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
