"""A private PostgreSQL for tests: a cluster in a folder of its own, reached by a Unix socket."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

_OPTIONS = "-c listen_addresses='' -c fsync=off -c shared_buffers=16MB -c unix_socket_directories={folder}"


def find_postgresql() -> Path | None:
    """Find the folder of the server's programs: on the path, or where Debian keeps the newest."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda program: int(program.parts[-3]))
    return found[-1].parent if found else None


def sqlite_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


async def run_sql(url: str, *statements: str) -> list[Any]:
    """Run statements as they are, and give the rows of the last that has any."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    rows: list[Any] = []
    async with engine.connect() as connection:
        for statement in statements:
            result = await connection.execute(text(statement))
            rows = list(result.all()) if result.returns_rows else rows
    await engine.dispose()
    return rows


_numbers = itertools.count(1)


async def create_database(cluster: str) -> str:
    """Make an empty database in a cluster, and give its URL."""
    name = f"test_{next(_numbers)}"
    await run_sql(cluster.format(name="postgres"), f"CREATE DATABASE {name}")
    return cluster.format(name=name)


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a cluster and give the URL of its databases, with `{name}` where the database's name goes.

    Skips where there is no server, or fails where the tests must have one.
    """
    programs = find_postgresql()
    if programs is None:
        (pytest.fail if os.environ.get("REQUIRE_TOOLS") else pytest.skip)("no PostgreSQL server is installed")
    folder = Path(tempfile.mkdtemp(prefix="sw-pg-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        _run(programs / "initdb", "-D", folder / "cluster", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        control = (programs / "pg_ctl", "-D", folder / "cluster", "-w")
        _run(*control, "-l", folder / "log", "-o", _OPTIONS.format(folder=folder), "start")
        try:
            yield f"postgresql+asyncpg://postgres@/{{name}}?host={folder}"
        finally:
            _run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: str | Path) -> None:
    """Run a program of the server, which refuses to run as root."""
    as_postgres = ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()
    subprocess.run([*as_postgres, *command], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60)
