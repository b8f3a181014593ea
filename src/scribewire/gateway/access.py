"""Access: where a credential may stand, and whether its key may do what is asked."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from scribewire.core.keys import Key, Scope, parse_secret
from scribewire.errors import NotAuthenticated, NotPermitted
from scribewire.gateway.store import Store

# In the order in which they are believed.
KEY_HEADERS: Final = ("x-zoom-s2t-key", "x-api-key", "api-key")
# A key that another gateway revoked is honoured here this much longer.
CACHE_S: Final = 2.0
_CACHED_KEYS: Final = 1024


def credential_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Give the credential that a request carries: in a header before the query. Header names are lower case.

    The REST side passes no query: there a credential in a URL would only end in somebody's log.
    """
    for name in KEY_HEADERS:
        if headers.get(name):
            return headers[name]
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credential.strip():
        return credential.strip()
    return query.get("token") or None


class Access:
    """Who may do what. Remembers the keys it found for an instant, by the hash of their secrets."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._found: OrderedDict[bytes, tuple[Key, float]] = OrderedDict()
        self._revocations = 0

    async def admit(self, credential: str | None, scope: Scope | None = None) -> Key:
        """Give the key of a credential; None for a scope asks only that it is valid.

        Raises NotAuthenticated or NotPermitted.
        """
        key = await self._find(credential) if credential else None
        if key is None or not key.is_valid(datetime.now(UTC)):
            raise NotAuthenticated
        if scope is not None and scope not in key.scopes:
            raise NotPermitted
        return key

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key, at once. False when there is none of that id."""
        there = await self._store.revoke_key(key_id)
        self._revocations += 1
        self._found = OrderedDict((hash_, kept) for hash_, kept in self._found.items() if kept[0].id != key_id)
        return there

    async def _find(self, credential: str) -> Key | None:
        secret = parse_secret(credential)
        if secret is None:
            return None
        now, hash_ = self._clock(), secret.hash
        kept = self._found.get(hash_)
        if kept is not None and now - kept[1] < CACHE_S:
            return kept[0]
        revocations = self._revocations
        key = await self._store.find_key(credential)
        # What was looked up while a key was being revoked may be of before.
        if key is not None and revocations == self._revocations:
            self._found[hash_] = (key, now)
            self._found.move_to_end(hash_)
            if len(self._found) > _CACHED_KEYS:
                self._found.popitem(last=False)
        return key
