"""Peers: the gateways that share a store. Which of them scales, what all of them carry, how often a key speaks.

Everything is compared and set on the database's clock, so that gateways whose clocks differ agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Delete, Executable, Update, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from scribewire.errors import SessionLimit
from scribewire.gateway import schema
from scribewire.gateway.store import Store

# How often a gateway checks in, and for how long it counts, and may scale, after it last did.
CHECK_IN_S: Final = 1.0
LEASE_S: Final = 5.0
# Rows of gateways that are gone for this long are swept by whoever leads.
FORGET_S: Final = 60.0
_RETRY_AFTER_S: Final = 5


class _DatabaseNow(FunctionElement[int]):
    """The database's own time, in Unix milliseconds."""

    type = BigInteger()
    inherit_cache = True


@compiles(_DatabaseNow, "postgresql")
def _postgresql_now(element: object, compiler: object, **options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(_DatabaseNow, "sqlite")
def _sqlite_now(element: object, compiler: object, **options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@dataclass(frozen=True, slots=True)
class Standing:
    """How all gateways stand together: whether this one leads, and what they carry and want.

    `asked` counts how often any of them was asked for a worker.
    """

    leads: bool
    live: int
    waiting: int
    wanted: int
    asked: int


class Peers:
    """This gateway among those that share its store. Every call raises StoreFailed when the database does."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def check_in(self, *, live: int, waiting: int, lead: bool = True, ask: bool = False) -> Standing:
        """Say what this gateway carries, take or keep the lead where it is free, and give how all stand.

        Without `lead` it wants none, and gives up what it has. With `ask` it was asked for a worker.
        """
        gateways, lease = schema.gateways.c, schema.lease.c
        now, until = _DatabaseNow(), _DatabaseNow() + round(1000 * LEASE_S)
        carried = {"live": live, "waiting": waiting, "seen_ms": now}
        async with self._store.writing() as connection:
            mine = update(schema.gateways).where(gateways.name == self._name).values(carried)
            if not await _count(connection, mine):
                await connection.execute(insert(schema.gateways).values(name=self._name, **carried))
            held = lease.holder == self._name
            if lead:
                taken = update(schema.lease).where(or_(held, lease.until_ms < now))
                leads = bool(await _count(connection, taken.values(holder=self._name, until_ms=until)))
            else:
                leads = False
                await connection.execute(update(schema.lease).where(held).values(until_ms=0))
            if leads:
                await _sweep(connection)
            if ask:
                await connection.execute(update(schema.fleet).values(asked=schema.fleet.c.asked + 1))
            alive = gateways.seen_ms > now - round(1000 * LEASE_S)
            sums = select(func.sum(gateways.live), func.sum(gateways.waiting)).where(alive)
            total_live, total_waiting = (await connection.execute(sums)).one()
            wanted, asked = (await connection.execute(select(schema.fleet.c.wanted, schema.fleet.c.asked))).one()
        return Standing(leads, total_live or 0, total_waiting or 0, wanted, asked)

    async def check_out(self) -> None:
        """Leave nothing behind: no sessions, no demand, no lead."""
        async with self._store.writing() as connection:
            for sweep in _forget(schema.gateways.c.name == self._name):
                await connection.execute(sweep)
            mine = update(schema.lease).where(schema.lease.c.holder == self._name)
            await connection.execute(mine.values(until_ms=0))

    async def count_in(self, session_id: str, key_id: str, most: int) -> None:
        """Count a session against its key, over all gateways.

        Raises SessionLimit when it would be one too many.
        """
        sessions, gateways = schema.live_sessions.c, schema.gateways.c
        of_key = (
            select(func.count())
            .select_from(schema.live_sessions)
            .join(schema.gateways, gateways.name == sessions.gateway)
            .where(sessions.key_id == key_id, gateways.seen_ms > _DatabaseNow() - round(1000 * LEASE_S))
        )
        async with self._store.writing() as connection:
            # Two gateways that count the same key wait for one another.
            await connection.execute(select(schema.keys.c.id).where(schema.keys.c.id == key_id).with_for_update())
            if (await connection.scalar(of_key) or 0) >= most:
                raise SessionLimit(retry_after_s=_RETRY_AFTER_S)
            row = {"session_id": session_id, "key_id": key_id, "gateway": self._name}
            await connection.execute(insert(schema.live_sessions).values(row))

    async def count_out(self, session_id: str) -> None:
        """Count a session no longer. Twice is once."""
        async with self._store.writing() as connection:
            sessions = schema.live_sessions
            await connection.execute(delete(sessions).where(sessions.c.session_id == session_id))


async def _count(connection: AsyncConnection, change: Update) -> int:
    return (await connection.execute(change)).rowcount


async def _sweep(connection: AsyncConnection) -> None:
    for sweep in _forget(schema.gateways.c.seen_ms < _DatabaseNow() - round(1000 * FORGET_S)):
        await connection.execute(sweep)


def _forget(which: Any) -> tuple[Delete | Executable, ...]:
    """Give what deletes some gateways and their sessions."""
    names = select(schema.gateways.c.name).where(which)
    sessions = delete(schema.live_sessions).where(schema.live_sessions.c.gateway.in_(names))
    return sessions, delete(schema.gateways).where(which)
