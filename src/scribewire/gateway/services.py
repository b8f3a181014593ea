"""Services: the parts of a gateway, built once by the composition root and handed to routes and sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scribewire.core import events as ev
from scribewire.core.keys import TICKET_PREFIX, Scope
from scribewire.core.languages import Profile, resolve
from scribewire.core.limits import Limits
from scribewire.errors import NotPermitted
from scribewire.gateway.access import Access
from scribewire.gateway.fleet import Fleet
from scribewire.gateway.history import History
from scribewire.gateway.limits import RateLimits
from scribewire.gateway.proxies import Proxies
from scribewire.gateway.sessions import Sessions
from scribewire.gateway.shares import Shares
from scribewire.gateway.store import Store
from scribewire.gateway.tickets import Tickets
from scribewire.metrics import Metrics
from scribewire.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a route or a socket may need."""

    settings: Settings
    store: Store
    access: Access
    limits: RateLimits
    proxies: Proxies
    fleet: Fleet
    metrics: Metrics
    sessions: Sessions
    tickets: Tickets
    shares: Shares
    history: History
    session_limits: Limits
    languages: Mapping[str, Mapping[str, str]]

    async def grant_realtime(self, credential: str, origin: str | None) -> ev.Grant:
        """Give what a key, or a ticket of that origin, allows on a socket. Raises NotAuthenticated or NotPermitted."""
        if credential.startswith(TICKET_PREFIX):
            return await self.tickets.examine(credential, origin)
        key = await self.access.admit(credential, Scope.REALTIME)
        return ev.Grant(key.id, key.name, key.max_sessions)

    def choose(self, grant: ev.Grant, *, language: str | None, kind: str | None) -> Profile:
        """Give the profile of a session that asks for a language and a type.

        Raises UnknownLanguage or UnknownType, and NotPermitted for another than its ticket names.
        """
        for asked, allowed in ((language, grant.language), (kind, grant.type)):
            if asked and allowed and asked != allowed:
                raise NotPermitted
        return resolve(
            language=grant.language or language,
            kind=grant.type or kind,
            configured=self.languages,
            default=self.settings.engines.default_language,
        )
