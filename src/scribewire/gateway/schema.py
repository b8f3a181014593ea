"""The schema of the store: its tables, its version, and the way up from an older one."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeDecorator

from scribewire.errors import StoreFailed

# The newest revision in migrations/versions; four digits, so that they compare as text. Named here so that a start
# need not load Alembic to find nothing to do.
VERSION: Final = "0003"
# Longest wait for another gateway that is bringing the same store up.
LOCK_WAIT_S: Final = 60.0
_LOCK_POLL_S: Final = 0.05
_ADVISORY_LOCK: Final = 0x5C71BE  # any number, the same in every gateway
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, also where the database knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give what is stored. A time without a zone is a mistake of ours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the store needs a zone")
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give what was meant."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("prefix", String, nullable=False, index=True),
    Column("hash", LargeBinary, nullable=False),
    Column("scopes", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("max_sessions", Integer),
)

reports = Table(
    "reports",
    metadata,
    Column("session_id", String, primary_key=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False, index=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=False, index=True),
    Column("language", String, nullable=False),
    Column("type", String, nullable=False),
    Column("dialect", String, nullable=False),
    Column("received_samples", BigInteger, nullable=False),
    Column("discarded_bytes", BigInteger, nullable=False),
    Column("settled_samples", BigInteger, nullable=False),
    Column("finals", Integer, nullable=False),
    Column("words", Integer, nullable=False),
    Column("partials", Integer, nullable=False),
    Column("streams", Integer, nullable=False),
    Column("streams_lost", Integer, nullable=False),
    Column("finals_dropped", Integer, nullable=False),
    Column("bad_messages", Integer, nullable=False),
    Column("listening_after_s", Float),
    Column("close_code", Integer, nullable=False),
    Column("error_code", String),
)

# One row, there from the first migration on; `set_at` is null until a target is set, `asked` counts initializes.
fleet = Table(
    "fleet",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("wanted", Integer, nullable=False),
    Column("set_at", UtcDateTime),
    Column("asked", BigInteger, nullable=False, server_default="0"),
)

# The gateways that share this store, by the database's clock.
gateways = Table(
    "gateways",
    metadata,
    Column("name", String, primary_key=True),
    Column("live", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)

# Sessions of keys that have a limit.
live_sessions = Table(
    "live_sessions",
    metadata,
    Column("session_id", String, primary_key=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False, index=True),
    Column("gateway", String, nullable=False, index=True),
)

# Credentials of one browser session each; gone once they are spent.
tickets = Table(
    "tickets",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False),
    Column("origin", String),
    Column("language", String),
    Column("type", String),
    Column("max_s", Float, nullable=False),
    Column("share", String),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

# Where a speaker's captions are read by others.
shares = Table(
    "shares",
    metadata,
    Column("id", String, primary_key=True),
    Column("key_id", ForeignKey("keys.id"), nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

# One row: who scales.
lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("holder", String, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)


# Alembic's own, as it makes it.
_versions = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

# What the migrations have written when they are through; a new store begins with it.
_FIRST_ROWS: Final[tuple[tuple[Table, dict[str, object]], ...]] = (
    (_versions, {"version_num": VERSION}),
    (fleet, {"id": 1, "wanted": 0, "set_at": None}),
    (lease, {"id": 1, "holder": "", "until_ms": 0}),
)


async def bring_up(engine: AsyncEngine) -> None:
    """Make the schema this program's, one program at a time.

    Raises StoreFailed when it is a newer program's; what the database raises comes through.
    """
    sqlite = engine.dialect.name == "sqlite"
    # Writing from the first statement on, so that a store that cannot be written is found now.
    engine = engine.execution_options(sqlite_begin="IMMEDIATE")
    async with _file_lock(engine) if sqlite else _no_lock(), engine.begin() as connection:
        if await connection.run_sync(_is_current):
            return
        if not sqlite:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S:.0f}s'"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        if not await connection.run_sync(_is_current):
            await connection.run_sync(_make_or_upgrade)


def _is_current(connection: Connection) -> bool:
    if not inspect(connection).has_table(_versions.name):
        return False
    version = connection.scalar(select(_versions.c.version_num))
    if version is not None and version > VERSION:
        raise StoreFailed(
            f"The store has schema {version}, and this program knows none beyond {VERSION}: install the newer program."
        )
    return version == VERSION


def _make_or_upgrade(connection: Connection) -> None:
    if inspect(connection).get_table_names():
        _upgrade(connection)
        return
    metadata.create_all(connection, checkfirst=False)
    _versions.create(connection)
    for table, row in _FIRST_ROWS:
        connection.execute(table.insert().values(row))


def _upgrade(connection: Connection) -> None:
    # A quarter of a second, which only a start on an older store must pay.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, VERSION)


@asynccontextmanager
async def _no_lock() -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def _file_lock(engine: AsyncEngine) -> AsyncIterator[None]:
    """Hold the lock beside a SQLite file, and make the file its owner's alone when it is new.

    SQLite's own locks do not cover the change to WAL, which two first starts would make at the same time.
    """
    path = str(engine.url.database)
    lock = _open_private(f"{path}.lock")
    try:
        async with asyncio.timeout(LOCK_WAIT_S):
            while not _try_lock(lock):  # noqa: ASYNC110 - the kernel wakes no coroutine
                await asyncio.sleep(_LOCK_POLL_S)
        os.close(_open_private(path))
        yield
    finally:
        os.close(lock)


def _open_private(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
