"""The store: keys, reports of sessions and the target of the fleet, on SQLite or PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Connection, delete, event, func, insert, or_, select, tuple_, update
from sqlalchemy.engine import URL, RowMapping, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from scribewire.core.events import Report
from scribewire.core.keys import ENTROPY_BYTES, Key, Scope, Secret, make_secret, parse_secret
from scribewire.errors import StoreFailed
from scribewire.gateway import schema

DRIVERS: Final = ("sqlite+aiosqlite", "postgresql+asyncpg")
# A store that hangs costs its caller this much.
CALL_WAIT_S: Final = 10.0
OPEN_WAIT_S: Final = schema.LOCK_WAIT_S + 30.0
_SQLITE_BUSY_S: Final = 5.0  # within CALL_WAIT_S, so that a locked file says so itself
_KEY_ID_BYTES: Final = 8
_IDS_A_QUERY: Final = 1000  # databases bound the number of parameters


@dataclass(frozen=True, slots=True)
class SessionReport:
    """A session's report, and whose it is."""

    session_id: str
    key_id: str
    started_at: datetime
    ended_at: datetime
    language: str
    type: str
    dialect: str
    report: Report


class Store:
    """An open store. Every call raises StoreFailed when the database does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Writing from the first statement on: SQLite lets no transaction that began by reading wait for its turn.
        self._writer = engine.execution_options(sqlite_begin="IMMEDIATE")

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect, and bring the schema up to this program's.

        Raises StoreFailed with one sentence that names the store, without its password.
        """
        parsed = _parse(url)
        store = cls(_engine_of(parsed))
        try:
            async with asyncio.timeout(OPEN_WAIT_S):
                await schema.bring_up(store._engine)
        except (SQLAlchemyError, OSError) as error:
            await store.close()
            shown = parsed.render_as_string(hide_password=True)
            raise StoreFailed(f"The store {shown} could not be opened: {_reason(error)}.") from error
        except StoreFailed:
            await store.close()
            raise
        return store

    @property
    def shared(self) -> bool:
        """Say whether gateways on other machines may use the same store."""
        return self._engine.dialect.name != "sqlite"

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def check(self) -> None:
        """Raise StoreFailed when the store does not answer."""
        async with self.reading() as connection:
            await connection.execute(select(1))

    # --- keys --------------------------------------------------------------------------------------------------------

    async def create_key(
        self,
        name: str,
        *,
        scopes: frozenset[Scope],
        expires_at: datetime | None = None,
        max_sessions: int | None = None,
    ) -> tuple[Key, Secret]:
        """Make a key. Its secret is kept nowhere."""
        secret = make_secret(secrets.token_bytes(ENTROPY_BYTES))
        key = Key(
            id=secrets.token_hex(_KEY_ID_BYTES),
            name=name,
            prefix=secret.shown,
            scopes=scopes,
            created_at=datetime.now(UTC),
            expires_at=expires_at,
            max_sessions=max_sessions,
        )
        row = {**asdict(key), "scopes": " ".join(sorted(scopes)), "hash": secret.hash}
        async with self.writing() as connection:
            await connection.execute(insert(schema.keys).values(row))
        return key, secret

    async def find_key(self, text: str) -> Key | None:
        """Find the key of a secret; None when there is none, or it is revoked or expired."""
        secret = parse_secret(text)
        if secret is None:
            return None
        async with self.reading() as connection:
            rows = await connection.execute(select(schema.keys).where(schema.keys.c.prefix == secret.shown))
        now = datetime.now(UTC)
        for row in rows.mappings():
            if secret.matches(row["hash"]):
                key = _key_of(row)
                return key if key.is_valid(now) else None
        return None

    async def list_keys(self) -> list[Key]:
        """Give every key, oldest first, revoked and expired ones too."""
        async with self.reading() as connection:
            rows = await connection.execute(select(schema.keys).order_by(schema.keys.c.created_at, schema.keys.c.id))
        return [_key_of(row) for row in rows.mappings()]

    async def revoke_key(self, key_id: str) -> bool:
        """Revoke a key; twice is once. False when there is none of that id."""
        revoked_at = schema.keys.c.revoked_at
        async with self.writing() as connection:
            await connection.execute(
                update(schema.keys)
                .where(schema.keys.c.id == key_id, revoked_at.is_(None))
                .values(revoked_at=datetime.now(UTC))
            )
            return await connection.scalar(select(schema.keys.c.id).where(schema.keys.c.id == key_id)) is not None

    async def valid_keys(self, ids: set[str]) -> set[str]:
        """Give those of these keys that are neither revoked nor expired."""
        if not ids:
            return set()
        asked, valid = sorted(ids), set[str]()
        async with self.reading() as connection:
            for at in range(0, len(asked), _IDS_A_QUERY):
                query = select(schema.keys.c.id).where(
                    schema.keys.c.id.in_(asked[at : at + _IDS_A_QUERY]), *is_valid(datetime.now(UTC))
                )
                valid.update(await connection.scalars(query))
        return valid

    # --- the target of the fleet -------------------------------------------------------------------------------------

    async def read_target(self) -> tuple[int, float] | None:
        """Give the count that was wanted last and when that was said (wall-clock Unix seconds); None at first."""
        async with self.reading() as connection:
            row = (await connection.execute(select(schema.fleet.c.wanted, schema.fleet.c.set_at))).one()
        return None if row.set_at is None else (row.wanted, row.set_at.timestamp())

    async def write_target(self, count: int) -> None:
        """Keep the count, said now."""
        async with self.writing() as connection:
            await connection.execute(update(schema.fleet).values(wanted=count, set_at=datetime.now(UTC)))

    # --- reports -----------------------------------------------------------------------------------------------------

    async def file_report(self, filed: SessionReport) -> None:
        """Keep a report."""
        row = {field.name: getattr(filed, field.name) for field in fields(filed)}
        row |= asdict(row.pop("report"))
        async with self.writing() as connection:
            await connection.execute(insert(schema.reports).values(row))

    async def list_reports(
        self, *, key_id: str | None = None, limit: int, before: str | None = None
    ) -> list[SessionReport]:
        """Give at most `limit` reports, the latest end first: of one key or of all, those that follow session `before`.

        A `before` that is unknown, as when its report was deleted meanwhile, is followed by nothing.
        """
        columns = schema.reports.c
        place = tuple_(columns.ended_at, columns.session_id)
        query = select(schema.reports).order_by(columns.ended_at.desc(), columns.session_id.desc()).limit(limit)
        if key_id is not None:
            query = query.where(columns.key_id == key_id)
        if before is not None:
            after = select(columns.ended_at, columns.session_id).where(columns.session_id == before)
            query = query.where(place < after.scalar_subquery())
        async with self.reading() as connection:
            rows = await connection.execute(query)
        return [_report_of(row) for row in rows.mappings()]

    async def delete_old_reports(self, keep_days: int) -> None:
        """Delete the reports of sessions that ended longer ago than that."""
        oldest = datetime.now(UTC) - timedelta(days=keep_days)
        async with self.writing() as connection:
            await connection.execute(delete(schema.reports).where(schema.reports.c.ended_at < oldest))

    # --- notices to those who share the store ------------------------------------------------------------------------

    async def notify(self, channel: str, notice: str) -> None:
        """Have a notice heard by all that listen. PostgreSQL alone; less than 8000 bytes."""
        async with self.writing() as connection:
            await connection.execute(select(func.pg_notify(channel, notice)))

    @asynccontextmanager
    async def notices(self, channel: str, hear: Callable[[str], None]) -> AsyncIterator[asyncio.Event]:
        """Have notices heard, on a connection of its own; the event tells that it broke. PostgreSQL alone."""
        import asyncpg  # here, for it is an extra

        broken = asyncio.Event()

        def take(_connection: object, _pid: int, _channel: str, notice: str) -> None:
            hear(notice)

        with _failing():
            async with self._engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None, "a connection without its driver's"
                driver.add_termination_listener(lambda _connection: broken.set())
                try:
                    async with asyncio.timeout(CALL_WAIT_S):
                        await driver.add_listener(channel, take)
                except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    raise StoreFailed("The store does not answer.") from error
                try:
                    yield broken
                finally:
                    await connection.invalidate()  # nobody else is to have it

    # --- connections -------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        with _failing():
            async with asyncio.timeout(CALL_WAIT_S), self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction, committed at the end of the block."""
        with _failing():
            async with asyncio.timeout(CALL_WAIT_S), self._writer.begin() as connection:
                yield connection


def is_valid(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Give what holds of a key that is neither revoked nor expired."""
    expires_at = schema.keys.c.expires_at
    return schema.keys.c.revoked_at.is_(None), or_(expires_at.is_(None), expires_at > now)


def _key_of(row: RowMapping) -> Key:
    scopes = frozenset(Scope(scope) for scope in row["scopes"].split())
    return Key(**{field.name: row[field.name] for field in fields(Key)} | {"scopes": scopes})


def _report_of(row: RowMapping) -> SessionReport:
    report = Report(**{field.name: row[field.name] for field in fields(Report)})
    return SessionReport(
        **{field.name: row[field.name] for field in fields(SessionReport) if field.name != "report"}, report=report
    )


# --- the database ----------------------------------------------------------------------------------------------------


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreFailed("store.url is not a database URL.") from error
    if parsed.drivername not in DRIVERS or not parsed.database:
        raise StoreFailed(f"store.url must begin with one of {', '.join(DRIVERS)} and name a database.")
    return parsed


def _engine_of(url: URL) -> AsyncEngine:
    try:
        # Parameters are hashes and names: they stay out of what errors say.
        engine = create_async_engine(url, hide_parameters=True, pool_pre_ping=url.drivername != DRIVERS[0])
    except ModuleNotFoundError as error:
        raise StoreFailed(f"{url.drivername} needs more: pip install 'scribewire[postgres]'") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        event.listen(engine.sync_engine, "invalidate", _roll_back_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would commit before DDL: transactions are begun by us
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_S * 1000:.0f}")
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    how = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")


def _roll_back_sqlite(connection: Any, _record: object, _error: object) -> None:
    # Closed by a cancellation in the middle of a statement, it would keep its transaction, and the lock of it, for as
    # long as something holds what was being read.
    with suppress(SQLAlchemyError, sqlite3.Error, ValueError):
        connection.rollback()


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreFailed("The store does not answer.") from error


def _reason(error: Exception) -> str:
    """Give the database's own words, without the statement that it was given."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, DBAPIError):
        error = error.orig if isinstance(error.orig, Exception) else error
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    # asyncpg's adapter puts the class before its words.
    return words.splitlines()[0].rpartition("Error'>: ")[2].rstrip(".")
