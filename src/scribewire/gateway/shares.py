"""Shares: where a speaker's captions are read by others, over as many sessions as it takes."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select

from scribewire.core import events as ev
from scribewire.core.keys import ENTROPY_BYTES, SHARE_PREFIX, Secret, make_secret, parse_secret
from scribewire.errors import AtCapacity, NotAuthenticated, NotFound
from scribewire.gateway import schema
from scribewire.gateway.audience import Audience, Line, Viewer
from scribewire.gateway.relay import Relay
from scribewire.gateway.store import Store, is_valid
from scribewire.metrics import Metrics

# A day of talks on one link.
LIFE_S: Final = 24 * 3600.0
# The finals of a share that nobody speaks on or reads are let go of after that.
FORGET_S: Final = 3600.0
_ID_BYTES: Final = 8
_RETRY_AFTER_S: Final = 5


@dataclass(frozen=True, slots=True)
class Share:
    """One share as the store has it."""

    id: str
    key_id: str
    expires_at: datetime


class Shares:
    """The shares of a store, and their audiences in this gateway; with a relay, what is said at others is heard too.

    Calls that look into the store raise StoreFailed when the database does.
    """

    def __init__(self, store: Store, metrics: Metrics, *, max_viewers: int, relay: Relay | None = None) -> None:
        self._store = store
        self._metrics = metrics
        self._max_viewers = max_viewers
        self._audiences: dict[str, Audience] = {}
        self._stopping = False
        self._relay = relay
        if relay is not None:
            relay.attach(self._audiences)

    # --- the store ---------------------------------------------------------------------------------------------------

    async def create(self, key_id: str) -> tuple[Share, Secret]:
        """Make a share of a key. Its secret is kept nowhere. Those that have ended are swept."""
        secret, now = make_secret(secrets.token_bytes(ENTROPY_BYTES), SHARE_PREFIX), datetime.now(UTC)
        share = Share(secrets.token_hex(_ID_BYTES), key_id, now + timedelta(seconds=LIFE_S))
        row = {"id": share.id, "key_id": key_id, "hash": secret.hash, "expires_at": share.expires_at}
        async with self._store.writing() as connection:
            await connection.execute(delete(schema.shares).where(schema.shares.c.expires_at <= now))
            await connection.execute(insert(schema.shares).values(row))
        return share, secret

    async def find(self, share_id: str, key_id: str) -> Share:
        """Give a share of a key. Raises NotFound."""
        shares = schema.shares.c
        return await self._find(NotFound, shares.id == share_id, shares.key_id == key_id)

    async def open(self, credential: str | None) -> Share:
        """Give the share that a secret opens. Raises NotAuthenticated."""
        secret = parse_secret(credential or "", SHARE_PREFIX)
        if secret is None:
            raise NotAuthenticated
        return await self._find(NotAuthenticated, schema.shares.c.hash == secret.hash)

    async def close(self, share_id: str, key_id: str) -> None:
        """End a share of a key, and send its readers away. Raises NotFound."""
        shares = schema.shares.c
        async with self._store.writing() as connection:
            ended = delete(schema.shares).where(shares.id == share_id, shares.key_id == key_id)
            if not (await connection.execute(ended)).rowcount:
                raise NotFound
        audience = self._audiences.pop(share_id, None)
        if audience is not None:
            audience.close(1000)

    async def _find(self, missing: type[NotFound | NotAuthenticated], *which: object) -> Share:
        now, shares = datetime.now(UTC), schema.shares.c
        query = (
            select(shares.id, shares.key_id, shares.expires_at)
            .join(schema.keys, schema.keys.c.id == shares.key_id)
            .where(*which, shares.expires_at > now, *is_valid(now))  # type: ignore[arg-type] # columns compared
        )
        async with self._store.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise missing
        return Share(*row)

    # --- the audiences -----------------------------------------------------------------------------------------------

    @property
    def viewers(self) -> int:
        """Count the readers of all shares."""
        return sum(audience.viewers for audience in self._audiences.values())

    def audience(self, share_id: str) -> Audience:
        """Give the audience of a share, and forget those that were left long ago."""
        now = time.monotonic()
        for idle in [kept for kept, audience in self._audiences.items() if audience.idle_s(now) > FORGET_S]:
            del self._audiences[idle]
        return self._audiences.setdefault(share_id, Audience(now=now))

    def show(self, share_id: str, session_id: str) -> Showing:
        """Show a session."""
        audience = self.audience(share_id)
        self._want(share_id)
        return Showing(share_id, session_id, audience, self._relay)

    def join(self, share: Share) -> Viewer:
        """Take in a reader. Raises AtCapacity when the gateway has as many as it may."""
        if self._stopping or self.viewers >= self._max_viewers:
            raise AtCapacity(retry_after_s=_RETRY_AFTER_S)
        viewer = self.audience(share.id).join()
        self._want(share.id)
        self._metrics.viewers.set(self.viewers)
        return viewer

    def leave(self, share: Share, viewer: Viewer) -> None:
        """Let a reader go."""
        if share.id in self._audiences:
            self._audiences[share.id].leave(viewer, time.monotonic())
        self._metrics.viewers.set(self.viewers)

    def stop(self) -> None:
        """Take no more readers, and send all away: the service stops."""
        self._stopping = True
        for audience in self._audiences.values():
            audience.close(1001)

    def _want(self, share_id: str) -> None:
        if self._relay is not None:
            self._relay.want(share_id)


class Showing:
    """One session that is shown on a share: here, and by the relay at other gateways."""

    def __init__(self, share_id: str, session_id: str, audience: Audience, relay: Relay | None) -> None:
        self._share_id = share_id
        self._session_id = session_id
        self._audience = audience
        self._relay = relay
        self._finals = 0
        audience.begin(session_id)
        if relay is not None:
            relay.begin(share_id, session_id)

    def tell(self, message: ev.Partial | ev.Final) -> None:
        """Show what the session says."""
        text = self._audience.spell(message)
        if isinstance(message, ev.Partial):
            self._audience.tell(text)
            if self._relay is not None:
                self._relay.tell(self._share_id, text)
            return
        self._finals += 1
        line = Line(time.time(), f"{self._session_id}.{self._finals}", text)
        self._audience.add(line)
        if self._relay is not None:
            self._relay.add(self._share_id, line)

    def end(self) -> None:
        """Show it no longer."""
        self._audience.end(self._session_id, time.monotonic())
        if self._relay is not None:
            self._relay.end(self._share_id, self._session_id)
