"""The store on SQLite and on PostgreSQL: the same tests, then what is SQLite's alone, then the wheel."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, text
from sqlalchemy.ext.asyncio import create_async_engine

from scribewire.core.events import Report
from scribewire.core.keys import Scope
from scribewire.errors import StoreFailed
from scribewire.gateway import schema
from scribewire.gateway.store import SessionReport, Store
from tests.gateway.databases import run_sql, sqlite_url

NOW = datetime.now(UTC)


async def refusal(url: str) -> str:
    with pytest.raises(StoreFailed) as caught:
        await Store.open(url)
    return str(caught.value)


def report_of(session_id: str, key_id: str, *, ended_at: datetime = NOW, report: Report | None = None) -> SessionReport:
    return SessionReport(
        session_id=session_id,
        key_id=key_id,
        started_at=ended_at - timedelta(seconds=5),
        ended_at=ended_at,
        language="en",
        type="fast",
        dialect="v2",
        report=report or Report(),
    )


async def make_key(store: Store, **given: Any) -> str:
    key, _ = await store.create_key("a key", scopes=frozenset({Scope.REALTIME}), **given)
    return key.id


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_a_key_is_found_by_its_secret_as_it_was_made(store: Store) -> None:
    expires_at = NOW.astimezone(timezone(timedelta(hours=2))) + timedelta(days=1)
    key, secret = await store.create_key("dictation", scopes=frozenset(Scope), expires_at=expires_at, max_sessions=3)
    assert await store.find_key(secret.reveal()) == key
    assert (key.prefix, key.max_sessions, key.scopes) == (secret.shown, 3, frozenset(Scope))


async def test_the_secret_of_a_key_is_kept_nowhere(store: Store, url: str) -> None:
    _, secret = await store.create_key("a key", scopes=frozenset(Scope))
    (row,) = await run_sql(url, "SELECT * FROM keys")
    assert secret.reveal() not in str(tuple(row))
    assert secret.hash in [bytes(value) for value in row if isinstance(value, bytes | memoryview)]


async def test_unknown_mistyped_revoked_and_expired_keys_are_not_found(store: Store) -> None:
    revoked, revoked_secret = await store.create_key("revoked", scopes=frozenset(Scope))
    _, expired_secret = await store.create_key("expired", scopes=frozenset(Scope), expires_at=NOW)
    await store.revoke_key(revoked.id)
    for text_ in (revoked_secret.reveal(), expired_secret.reveal(), revoked_secret.reveal()[:-1], "", "sw_", "ü"):
        assert await store.find_key(text_) is None


async def test_a_key_whose_beginning_another_shares_is_told_apart(store: Store, url: str) -> None:
    _, secret = await store.create_key("one", scopes=frozenset(Scope))
    other, _ = await store.create_key("other", scopes=frozenset(Scope))
    await run_sql(url, f"UPDATE keys SET prefix = '{secret.shown}' WHERE id = '{other.id}'")
    found = await store.find_key(secret.reveal())
    assert found is not None
    assert found.name == "one"


async def test_keys_are_listed_oldest_first_with_the_revoked_ones(store: Store) -> None:
    ids = [await make_key(store) for _ in range(3)]
    await store.revoke_key(ids[1])
    listed = await store.list_keys()
    assert [key.id for key in listed] == ids
    assert [key.revoked_at is not None for key in listed] == [False, True, False]


async def test_revoking_twice_is_once_and_of_nothing_is_false(store: Store) -> None:
    key_id = await make_key(store)
    assert await store.revoke_key(key_id)
    first = (await store.list_keys())[0].revoked_at
    assert await store.revoke_key(key_id)
    assert (await store.list_keys())[0].revoked_at == first
    assert not await store.revoke_key("nobody")


async def test_the_valid_ones_of_many_keys_are_named(store: Store) -> None:
    good, revoked = await make_key(store), await make_key(store)
    expired = await make_key(store, expires_at=NOW)
    await store.revoke_key(revoked)
    unknown = {f"unknown-{number}" for number in range(2500)}
    assert await store.valid_keys({good, revoked, expired} | unknown) == {good}
    assert await store.valid_keys(set()) == set()


# --- the target ------------------------------------------------------------------------------------------------------


async def test_there_is_no_target_before_the_first(store: Store) -> None:
    assert await store.read_target() is None


async def test_the_target_is_the_last_one_written_in_another_life_too(store: Store, url: str) -> None:
    await store.write_target(2)
    await store.write_target(5)
    again = await Store.open(url)
    target = await again.read_target()
    await again.close()
    assert target is not None
    assert target[0] == 5
    assert abs(target[1] - datetime.now(UTC).timestamp()) < 60


# --- reports ---------------------------------------------------------------------------------------------------------


async def test_a_report_is_read_back_whole(store: Store) -> None:
    key_id = await make_key(store)
    report = Report(2**40, 1, 2**40 - 1, 3, 4, 5, 6, 7, 8, 9, 0.025, 1011, "engine_failed")
    filed = report_of("s1", key_id, report=report)
    await store.file_report(filed)
    assert await store.list_reports(limit=10) == [filed]


def test_the_table_holds_every_figure_of_a_report_and_no_text() -> None:
    figures = {field.name for field in fields(Report)} | {field.name for field in fields(SessionReport)} - {"report"}
    assert set(schema.reports.columns.keys()) == figures


async def test_reports_come_latest_first_page_by_page_and_by_key(store: Store) -> None:
    mine, other = await make_key(store), await make_key(store)
    # Sessions that end at the same instant must not fall between two pages.
    for number in range(6):
        ended_at = NOW + timedelta(seconds=number // 3)
        await store.file_report(report_of(f"s{number}", mine if number % 2 else other, ended_at=ended_at))
    seen: list[str] = []
    while page := await store.list_reports(limit=2, before=seen[-1] if seen else None):
        seen += [filed.session_id for filed in page]
    assert seen == ["s5", "s4", "s3", "s2", "s1", "s0"]
    assert [filed.session_id for filed in await store.list_reports(key_id=mine, limit=9)] == ["s5", "s3", "s1"]


async def test_nothing_follows_a_report_that_is_not_there(store: Store) -> None:
    await store.file_report(report_of("s1", await make_key(store)))
    assert await store.list_reports(limit=9, before="gone") == []


async def test_old_reports_are_deleted_and_the_others_stay(store: Store) -> None:
    key_id = await make_key(store)
    for days in (1, 31):
        await store.file_report(report_of(f"s{days}", key_id, ended_at=NOW - timedelta(days=days)))
    await store.delete_old_reports(30)
    assert [filed.session_id for filed in await store.list_reports(limit=9)] == ["s1"]


async def test_a_time_without_a_zone_is_a_mistake(store: Store) -> None:
    with pytest.raises(StoreFailed):
        await make_key(store, expires_at=datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake


async def test_a_failing_call_says_nothing_of_what_it_was_given(store: Store) -> None:
    filed = report_of("s1", await make_key(store))
    await store.file_report(filed)
    with pytest.raises(StoreFailed, match=r"^The store does not answer\.$") as caught:
        await store.file_report(filed)
    assert filed.key_id not in str(caught.value.__cause__)


async def test_a_call_that_is_cancelled_holds_up_no_other(store: Store) -> None:
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT i FROM n"

    async def write() -> None:
        async with store.writing() as connection:
            await connection.execute(delete(schema.reports))
            await connection.execute(text(f"{counting} ORDER BY -i"))

    gc.disable()  # which would free what is still being read
    try:
        writing = asyncio.create_task(write())
        await asyncio.sleep(0.1)
        assert not writing.done()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        async with asyncio.timeout(5):
            await make_key(store)
    finally:
        gc.enable()


# --- the schema ------------------------------------------------------------------------------------------------------


async def contents(url: str) -> dict[str, list[Any]]:
    names = ("alembic_version", *schema.metadata.tables)
    return {name: await run_sql(url, f"SELECT * FROM {name}") for name in names}


def migrations() -> Any:
    """Give Alembic's configuration."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


async def test_the_migrations_make_the_tables_that_the_code_knows(url: str) -> None:
    from alembic import command
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def make_first(connection: Connection) -> None:
        config = migrations()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))

    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(make_first)
        assert await connection.run_sync(differences) != []
    await (await Store.open(url)).close()
    upgraded = await contents(url)
    async with engine.begin() as connection:
        assert await connection.run_sync(differences) == []
        await connection.run_sync(schema.metadata.drop_all)
        await connection.execute(text("DROP TABLE alembic_version"))
    await engine.dispose()
    await (await Store.open(url)).close()
    assert await contents(url) == upgraded


@pytest.mark.integration
def test_the_version_that_the_code_names_is_the_last_migration() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(migrations()).get_heads() == [schema.VERSION]


async def test_a_newer_schema_is_refused_in_one_sentence(store: Store, url: str) -> None:
    await run_sql(url, "UPDATE alembic_version SET version_num = '0999'")
    assert await refusal(url) == (
        f"The store has schema 0999, and this program knows none beyond {schema.VERSION}: install the newer program."
    )


async def test_first_starts_at_the_same_time_make_one_schema(url: str) -> None:
    stores = await asyncio.gather(*(Store.open(url) for _ in range(4)))
    assert await run_sql(url, "SELECT version_num FROM alembic_version") == [(schema.VERSION,)]
    for store in stores:
        await store.close()


async def test_only_a_start_on_an_older_store_loads_alembic(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alembic", None)  # importing it would raise
    await (await Store.open(url)).close()
    await (await Store.open(url)).close()


# --- what cannot be opened -------------------------------------------------------------------------------------------


async def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "nowhere" / "store.db")
    assert await refusal(url) == f"The store {url} could not be opened: No such file or directory."


@pytest.mark.integration
async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database " * 100)
    assert "file is not a database" in await refusal(sqlite_url(tmp_path / "store.db"))


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Give the folder to somebody without rights and be that, where this is root, who may write everywhere."""
    if os.getuid() != 0:
        yield
        return
    for path in (folder, *folder.iterdir()):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.integration
@pytest.mark.parametrize("locked", ["store.db", "."])
async def test_a_store_that_cannot_be_written_is_said_at_once(locked: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        await (await Store.open(sqlite_url(folder / "store.db"))).close()
        (folder / "store.db.lock").unlink()
        (folder / locked).chmod(0o500)
        with as_nobody(folder):
            sentence = await refusal(sqlite_url(folder / "store.db"))
        folder.chmod(0o700)
    assert sentence.endswith(" could not be opened: Permission denied.")


@pytest.mark.integration
async def test_a_database_that_does_not_answer_is_said_without_its_password() -> None:
    sentence = await refusal("postgresql+asyncpg://scribe:hunter2@127.0.0.1:1/store")
    assert sentence.startswith("The store postgresql+asyncpg://scribe:***@127.0.0.1:1/store could not be opened: ")


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/store", "sqlite+aiosqlite://", "postgresql://host/x"])
async def test_other_urls_are_refused_by_the_name_of_the_setting(url: str) -> None:
    assert (await refusal(url)).startswith("store.url ")


# --- SQLite alone ----------------------------------------------------------------------------------------------------


@pytest.mark.integration
async def test_a_sqlite_file_is_in_wal_mode_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await (await Store.open(sqlite_url(path))).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.integration
async def test_a_migration_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE fleet (other)")  # the last table of the first migration
    connection.close()
    assert "table fleet already exists" in await refusal(sqlite_url(path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("fleet",)]
    connection.close()


# --- the wheel -------------------------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_a_store_opens_from_the_wheel(tmp_path: Path) -> None:
    project = Path(__file__).parents[2]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, check=True, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = f"""
import asyncio, scribewire
from scribewire.gateway.store import Store

async def open_and_close():
    await (await Store.open({sqlite_url(tmp_path / "store.db")!r})).close()

asyncio.run(open_and_close())
print(scribewire.__file__)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment, stdout=subprocess.PIPE
    )
    assert Path(ran.stdout.decode().strip()).is_relative_to(tmp_path)
    assert (tmp_path / "store.db").stat().st_size > 0
