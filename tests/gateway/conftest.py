"""These tests run on the event loop that the gateway runs on in the service, and some against a whole gateway."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
import uvloop

from scribewire.gateway import fleet as fleet_module
from scribewire.gateway.fleet import Fleet
from scribewire.gateway.store import Store
from scribewire.scalers.local import make_run_dir
from scribewire.settings import Settings
from tests.gateway.databases import create_database, postgresql, sqlite_url
from tests.gateway.doubles import InMemoryScaler, InMemoryTargets, ScriptedWorker
from tests.gateway.fleets import Started, settings
from tests.gateway.rig import Rig, open_rig


class Rigger(Protocol):
    """Builds a gateway whose workers are of these kinds; settings are groups by name."""

    async def __call__(self, makes: Sequence[type[ScriptedWorker]] = ..., **settings: Any) -> Rig: ...


# Who asks for one of these opens a store or sockets.
_REAL = {"folder", "rigger", "store", "url"}


@pytest.hookimpl(tryfirst=True)  # before what is marked is left out
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark those tests."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and _REAL & set(getattr(item, "fixturenames", ())):
            item.add_marker("integration")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Name the one loop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with its schema and nothing else: the tests of a gateway begin with a copy of it."""
    path = tmp_path_factory.mktemp("store") / "store.db"

    async def make() -> None:
        await (await Store.open(f"sqlite+aiosqlite:///{path}")).close()

    asyncio.run(make())
    return path


@pytest.fixture
async def rigger(tmp_path: Path, empty_store: Path) -> AsyncIterator[Rigger]:
    """Give the builder; what it built ends with the test."""
    shutil.copy(empty_store, tmp_path)
    run_dir = make_run_dir()
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, run_dir)

        async def build(makes: Sequence[type[ScriptedWorker]] = (ScriptedWorker,), **settings: Any) -> Rig:
            scaler = InMemoryScaler(run_dir, makes)
            return await stack.enter_async_context(open_rig(Settings(data_dir=tmp_path, **settings), scaler))

        yield build


@pytest.fixture
async def rig(rigger: Rigger) -> Rig:
    """Give a gateway as it comes."""
    return await rigger()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = make_run_dir()
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Started]:
    """Give a function that starts a fleet."""
    monkeypatch.setattr(fleet_module, "PERIOD_S", 0.02)
    fleets: list[Fleet] = []

    async def start(
        *makes: type[ScriptedWorker],
        targets: InMemoryTargets | None = None,
        chosen: Settings | None = None,
        slots: int = 2,
    ) -> tuple[Fleet, InMemoryScaler]:
        scaler = InMemoryScaler(folder, makes or (ScriptedWorker,), slots)
        fleet = Fleet(chosen or settings(), scaler, targets or InMemoryTargets(), name="tests")
        fleets.append(fleet)
        await fleet.start()
        return fleet, scaler

    yield start
    for fleet in fleets:
        await fleet.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "store.db")
    cluster: str = request.getfixturevalue("cluster")
    return await create_database(cluster)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url)
    yield store
    await store.close()
