"""Upgrades: who may open a socket, and how one that may not is told."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from scribewire.core import events as ev
from scribewire.dialects.base import Dialect, Request
from scribewire.dialects.table import DIALECTS, PATHS, SHAPES, Row
from scribewire.errors import NotAuthenticated, NotAvailable, ScribewireError, ServiceStopping
from scribewire.gateway.access import credential_of
from scribewire.gateway.services import Services
from scribewire.gateway.sessions import LiveSession
from scribewire.gateway.sockets import Receive, Send, Socket

Scope = Mapping[str, Any]
_SESSION_ID_BYTES: Final = 12


def new_session_id() -> str:
    """Give a fresh session id: random, short enough to read out, with no meaning."""
    return secrets.token_hex(_SESSION_ID_BYTES)


class Upgrade:
    """The ASGI endpoint of one WebSocket path. Plain ASGI: every frame of every session passes through it."""

    def __init__(self, services: Services, row: Row) -> None:
        self._services = services
        self._row = row

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one upgrade, refuse it or hold the session."""
        await receive()  # websocket.connect
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        pairs = parse_qsl(scope["query_string"].decode("latin-1"))
        query = dict(pairs)
        request = Request(headers, query, pairs, datetime.now(UTC))
        name = self._services.settings.session.shape or query.get("shape", "")
        # Shapes are those of one request.
        name = name if {name, self._row.dialect} <= SHAPES else self._row.dialect
        dialect = DIALECTS[name](new_session_id(), request)
        identity = dialect.identify(request)
        try:
            credential = identity.credential or credential_of(headers, query)
            grant = await self._examine(scope, credential, headers.get("origin"), keyed_later=dialect.keyed_later)
            dialect.check()
        except ScribewireError as error:
            self._services.metrics.refused.labels(error.code).inc()
            in_browser = "origin" in headers and credential_of(headers, {}) is None
            if in_browser and ("token" in query or identity.subprotocol):
                await accept_and_close(dialect, error, send, subprotocol=identity.subprotocol)
            else:
                await deny(dialect, error, send)
            return
        accept = {"type": "websocket.accept", "subprotocol": identity.subprotocol, "headers": _headers_of(dialect)}
        await send(accept)
        live = LiveSession(session_id=dialect.session_id, deliver=_ignore, dialect=name, started_at=request.at)
        await self._hold(receive, send, dialect=dialect, live=live, grant=grant)

    async def _hold(
        self, receive: Receive, send: Send, *, dialect: Dialect, live: LiveSession, grant: ev.Grant | None
    ) -> None:
        """Hold the session."""
        await Socket(
            receive=receive,
            send=send,
            dialect=dialect,
            live=live,
            services=self._services,
            grant=grant,
        ).run()

    async def _examine(
        self, scope: Scope, credential: str | None, origin: str | None, *, keyed_later: bool
    ) -> ev.Grant | None:
        """Give what the credential at the upgrade allows, None when there is none. Raises what refuses it."""
        services = self._services
        if services.sessions.stopping:
            raise ServiceStopping(retry_after_s=round(services.settings.server.grace_s))
        services.sessions.check_room()
        if credential is None:
            if not keyed_later:
                raise NotAuthenticated
            return None
        try:
            grant = await services.grant_realtime(credential, origin)
        except ScribewireError:
            # Only now: others behind the same address, with good keys, are not to suffer for it.
            services.limits.count_refusal(services.proxies.address_of(scope))
            raise
        services.sessions.check_key(grant)
        return grant


class Unavailable:
    """The ASGI endpoint of the fetching path where fetching is off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept, say so, close."""
        await receive()
        await accept_and_close(DIALECTS["v2"](new_session_id()), NotAvailable(), send)


def _headers_of(dialect: Dialect) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in dialect.headers.items()]


def _ignore(event: ev.Event) -> None:
    """Take an event for a session that has no machine yet."""


async def accept_and_close(
    dialect: Dialect, error: ScribewireError, send: Send, *, subprotocol: str | None = None
) -> None:
    """Tell a browser, which cannot read an HTTP refusal, in the socket itself."""
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    for text in dialect.say(ev.Failed(error)):
        await send({"type": "websocket.send", "text": text})
    code = dialect.close_code(error.close_code or 1008)
    await send({"type": "websocket.close", "code": code, "reason": dialect.close_reason})


async def deny(dialect: Dialect, error: ScribewireError, send: Send) -> None:
    """Refuse the upgrade with the status and body of the REST side (ASGI extension websocket.http.response)."""
    headers = [(b"content-type", b"application/json"), *_headers_of(dialect)]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    await send({"type": "websocket.http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": dialect.refuse(error)})


__all__ = ["PATHS", "Unavailable", "Upgrade", "accept_and_close"]
