"""The endpoint of the fetching path: an upgrade like the others, whose session's audio the service fetches itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

import httpx

from scribewire.core import events as ev
from scribewire.dialects.base import Dialect
from scribewire.dialects.table import FETCHING
from scribewire.gateway.fetching.calls import Caller, Resolve, resolve
from scribewire.gateway.fetching.merging import Merged
from scribewire.gateway.fetching.rules import Rules
from scribewire.gateway.fetching.source import Source
from scribewire.gateway.services import Services
from scribewire.gateway.sessions import LiveSession
from scribewire.gateway.sockets import Receive, Send
from scribewire.gateway.upgrade import Scope, Upgrade

# Beyond the wait for the source: the session's own wait for its start is the last resort.
_MARGIN_S: Final = 5.0
# Sources that may be loading at once. Each is a process, before the session counts for its key or takes a slot.
_MAX_LOADS: Final = 16


class Fetching(Upgrade):
    """The ASGI endpoint. The credential in the path is as one in the query."""

    def __init__(self, services: Services, *, resolve: Resolve = resolve) -> None:
        load_wait_s = services.settings.fetch.load_wait_s + _MARGIN_S
        limits = replace(services.session_limits, start_wait_s=load_wait_s)
        super().__init__(replace(services, session_limits=limits), FETCHING)
        self._settings = services.settings.fetch
        self._rules = Rules(self._settings)
        self._resolve = resolve
        self._loads = asyncio.Semaphore(_MAX_LOADS)
        self._tls = httpx.create_ssl_context()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = urlencode({"token": scope["path_params"]["token"]}).encode()
        query = b"&".join(part for part in (scope["query_string"], token) if part)
        await super().__call__({**scope, "query_string": query}, receive, send)

    async def _hold(
        self, receive: Receive, send: Send, *, dialect: Dialect, live: LiveSession, grant: ev.Grant | None
    ) -> None:
        caller = Caller(self._rules, most_bytes=self._settings.max_bytes, tls=self._tls, resolve=self._resolve)
        source = Source(self._settings, caller, dialect.request.query.get("url", ""))
        merged = Merged(receive, send, dialect=dialect, live=live, source=source, loads=self._loads)
        await merged.load()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(merged.listen()), group.create_task(merged.play())]
            await super()._hold(merged.receive, merged.send, dialect=dialect, live=live, grant=grant)
            for task in tasks:
                task.cancel()
