"""Tickets: credentials of one browser session each, kept in the store, so that any gateway takes what another gave."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select

from scribewire.core.events import Grant
from scribewire.core.keys import ENTROPY_BYTES, TICKET_PREFIX, Secret, make_secret, parse_secret
from scribewire.errors import NotAuthenticated
from scribewire.gateway import schema
from scribewire.gateway.store import Store, is_valid

# From the page's asking to its start.
LIFE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a ticket is good for. `origin` is the page's, None for a caller that is no browser."""

    max_s: float
    origin: str | None = None
    language: str | None = None
    type: str | None = None
    share: str | None = None


class Tickets:
    """The tickets of a store. Every call raises StoreFailed when the database does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def issue(self, key_id: str, terms: Terms) -> tuple[Secret, datetime]:
        """Make a ticket of a key, and give it with when it ends. Those that have ended are swept."""
        secret, now = make_secret(secrets.token_bytes(ENTROPY_BYTES), TICKET_PREFIX), datetime.now(UTC)
        expires_at = now + timedelta(seconds=LIFE_S)
        row = {**asdict(terms), "hash": secret.hash, "key_id": key_id, "expires_at": expires_at}
        async with self._store.writing() as connection:
            await connection.execute(delete(schema.tickets).where(schema.tickets.c.expires_at <= now))
            await connection.execute(insert(schema.tickets).values(row))
        return secret, expires_at

    async def examine(self, credential: str, origin: str | None) -> Grant:
        """Give what a ticket allows, and leave it unspent.

        Raises NotAuthenticated when it is unknown, spent, over, another origin's, or its key holds no longer.
        """
        secret, now = parse_secret(credential, TICKET_PREFIX), datetime.now(UTC)
        if secret is None:
            raise NotAuthenticated
        tickets, keys = schema.tickets.c, schema.keys.c
        query = (
            select(schema.tickets, keys.name, keys.max_sessions)
            .join(schema.keys, keys.id == tickets.key_id)
            .where(tickets.hash == secret.hash, tickets.expires_at > now, *is_valid(now))
        )
        async with self._store.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None or row["origin"] != origin:
            raise NotAuthenticated
        return Grant(
            row["key_id"],
            row["name"],
            row["max_sessions"],
            ticket=secret.hash,
            language=row["language"],
            type=row["type"],
            max_s=row["max_s"],
            share=row["share"],
        )

    async def spend(self, ticket: bytes) -> None:
        """Take a ticket by its hash, this once.

        Raises NotAuthenticated when another session has, or it is over.
        """
        tickets = schema.tickets.c
        spent = delete(schema.tickets).where(tickets.hash == ticket, tickets.expires_at > datetime.now(UTC))
        async with self._store.writing() as connection:
            if not (await connection.execute(spent)).rowcount:
                raise NotAuthenticated
