"""A gateway without its port: real parts on scripted workers, and a caller for each kind of key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from scribewire.core.keys import Scope
from scribewire.core.limits import Limits
from scribewire.gateway.access import Access
from scribewire.gateway.fleet import Fleet
from scribewire.gateway.history import History
from scribewire.gateway.limits import RateLimits
from scribewire.gateway.proxies import Proxies
from scribewire.gateway.rest import create_app
from scribewire.gateway.services import Services
from scribewire.gateway.sessions import Sessions
from scribewire.gateway.shares import Shares
from scribewire.gateway.store import Store
from scribewire.gateway.tickets import Tickets
from scribewire.metrics import Metrics
from scribewire.settings import Settings
from tests.gateway.doubles import InMemoryScaler

BASE = "/api/v4/realtime"
HOST = "http://scribe.test"


@dataclass
class Rig:
    """A gateway without its port, and a caller for each kind of key."""

    services: Services
    scaler: InMemoryScaler
    http: httpx.AsyncClient
    secrets: Mapping[str, str]

    async def call(self, method: str, path: str, *, who: str | None = "admin", **given: Any) -> httpx.Response:
        """Call as the holder of a key, or of none."""
        headers = {"x-zoom-s2t-key": self.secrets[who]} if who else {}
        return await self.http.request(method, path, headers=headers | given.pop("headers", {}), **given)


@asynccontextmanager
async def open_rig(settings: Settings, scaler: InMemoryScaler) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        store = await Store.open(f"sqlite+aiosqlite:///{settings.data_dir / 'store.db'}")
        stack.push_async_callback(store.close)
        metrics, fleet = Metrics(), Fleet(settings, scaler, store, name="tests")
        sessions = Sessions(settings, store, metrics)
        await fleet.start()
        stack.push_async_callback(fleet.stop)
        await sessions.start()
        stack.push_async_callback(sessions.stop)
        services = Services(
            settings=settings,
            store=store,
            access=Access(store),
            limits=RateLimits(settings.limits),
            proxies=Proxies(settings.server.trusted_proxies),
            fleet=fleet,
            metrics=metrics,
            sessions=sessions,
            tickets=Tickets(store),
            shares=Shares(store, metrics, max_viewers=settings.limits.viewers),
            history=History(fleet, metrics),
            session_limits=Limits(),
            languages={},
        )
        scopes = {"admin": frozenset(Scope), "client": frozenset({Scope.REALTIME})}
        scopes["other"] = scopes["client"]
        secrets = {name: (await store.create_key(name, scopes=scopes[name]))[1].reveal() for name in scopes}
        transport = httpx.ASGITransport(create_app(services))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=HOST))
        yield Rig(services, scaler, http, secrets)
