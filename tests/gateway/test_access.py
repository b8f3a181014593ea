"""Access: where a credential is found, who is admitted, and that a revoked key is not remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scribewire.core.keys import Key, Scope, make_secret
from scribewire.errors import NotAuthenticated, NotPermitted
from scribewire.gateway.access import CACHE_S, Access, credential_of
from scribewire.gateway.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    yield store
    await store.close()


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(store: Store, clock: Clock) -> Access:
    return Access(store, clock=clock)


async def make(store: Store, *scopes: Scope) -> tuple[Key, str]:
    key, secret = await store.create_key("a key", scopes=frozenset(scopes))
    return key, secret.reveal()


@pytest.mark.parametrize(
    ("headers", "query", "found"),
    [
        ({}, {}, None),
        ({}, {"token": "q"}, "q"),
        ({}, {"token": ""}, None),
        ({"authorization": "Bearer b"}, {"token": "q"}, "b"),
        ({"authorization": "bearer  b "}, {}, "b"),
        ({"authorization": "Basic b"}, {"token": "q"}, "q"),
        ({"authorization": "Bearer"}, {}, None),
        ({"api-key": "a", "authorization": "Bearer b"}, {}, "a"),
        ({"x-api-key": "x", "api-key": "a"}, {}, "x"),
        ({"x-zoom-s2t-key": "z", "x-api-key": "x"}, {"token": "q"}, "z"),
        ({"x-zoom-s2t-key": "", "x-api-key": "x"}, {}, "x"),
    ],
)
def test_the_first_place_that_holds_a_credential_is_believed(
    headers: dict[str, str], query: dict[str, str], found: str | None
) -> None:
    assert credential_of(headers, query) == found


async def test_a_key_is_admitted_for_its_scopes_alone(store: Store, access: Access) -> None:
    key, secret = await make(store, Scope.REALTIME)
    assert await access.admit(secret, Scope.REALTIME) == key
    assert await access.admit(secret) == key
    with pytest.raises(NotPermitted):
        await access.admit(secret, Scope.ADMIN)


@pytest.mark.parametrize("credential", [None, "", "nonsense", "sw_\ud800", make_secret(bytes(24)).reveal()])
async def test_what_is_no_key_is_not_admitted(access: Access, credential: str | None) -> None:
    with pytest.raises(NotAuthenticated):
        await access.admit(credential, Scope.REALTIME)


async def test_a_found_key_is_remembered_for_an_instant(store: Store, access: Access, clock: Clock) -> None:
    key, secret = await make(store, Scope.REALTIME)
    await access.admit(secret)
    await store.revoke_key(key.id)  # as another gateway does
    clock.now += CACHE_S - 0.01
    await access.admit(secret)
    clock.now += 0.01
    with pytest.raises(NotAuthenticated):
        await access.admit(secret)


async def test_a_key_revoked_here_is_dead_at_once(store: Store, access: Access) -> None:
    (key, secret), (_, other) = await make(store, Scope.ADMIN), await make(store, Scope.ADMIN)
    await access.admit(secret)
    await access.admit(other)
    assert await access.revoke(key.id)
    with pytest.raises(NotAuthenticated):
        await access.admit(secret)
    await access.admit(other)
    assert not await access.revoke("nobody")


class SlowStore(Store):
    """Finds a key, and gives it only when it is told to."""

    def __init__(self, under: Store) -> None:
        super().__init__(under._engine)
        self.found = asyncio.Event()
        self.go_on = asyncio.Event()

    async def find_key(self, text: str) -> Key | None:
        key = await super().find_key(text)
        self.found.set()
        await self.go_on.wait()
        return key


async def test_a_key_revoked_during_its_look_up_is_not_remembered(store: Store) -> None:
    key, secret = await make(store, Scope.ADMIN)
    slow = SlowStore(store)
    access = Access(slow)
    admitting = asyncio.create_task(access.admit(secret))
    await slow.found.wait()
    await access.revoke(key.id)
    slow.go_on.set()
    await admitting  # it asked before
    with pytest.raises(NotAuthenticated):
        await access.admit(secret)
