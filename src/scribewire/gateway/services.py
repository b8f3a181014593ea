"""Services: the parts of a gateway, built once by the composition root and handed to routes and sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scribewire.core import events as ev
from scribewire.core.keys import Scope
from scribewire.core.limits import Limits
from scribewire.gateway.access import Access
from scribewire.gateway.fleet import Fleet
from scribewire.gateway.limits import RateLimits
from scribewire.gateway.proxies import Proxies
from scribewire.gateway.sessions import Sessions
from scribewire.gateway.store import Store
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
    session_limits: Limits
    languages: Mapping[str, Mapping[str, str]]

    async def grant_realtime(self, credential: str) -> ev.Grant:
        """Give what a credential allows on a socket. Raises NotAuthenticated or NotPermitted."""
        key = await self.access.admit(credential, Scope.REALTIME)
        return ev.Grant(key.id, key.name, key.max_sessions)
