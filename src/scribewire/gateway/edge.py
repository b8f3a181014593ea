"""The edge: for every HTTP request one log line, one count, the standing headers, and a last answer when it breaks."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from starlette.responses import JSONResponse

from scribewire.errors import ScribewireError
from scribewire.metrics import Metrics

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# Answers hold addresses, names and once a secret: no cache may keep them, no page may embed or guess at them.
STANDING_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
# Asked every few seconds by machines.
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """Middleware of HTTP alone: sockets pass by it without a wrapper."""

    def __init__(self, app: App, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                named = {name for name, _ in headers}
                message["headers"] = headers + [row for row in STANDING_HEADERS if row[0] not in named]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception:
            log.exception("a request broke", extra={"route": _template(scope)})
            if not status:
                answer = JSONResponse({"detail": ScribewireError.sentence}, status_code=ScribewireError.http_status)
                await answer(scope, receive, send_on)
        finally:
            self._note(scope, status, time.monotonic() - began)

    def _note(self, scope: MutableMapping[str, Any], status: int, took_s: float) -> None:
        route = _template(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(route, method, status).inc()
        log.log(
            logging.DEBUG if route in PROBES else logging.INFO,
            "request",
            extra={"route": route, "method": method, "status": status, "took_ms": round(took_s * 1000, 1)},
        )


def _template(scope: MutableMapping[str, Any]) -> str:
    """Give the path as the route declares it: what was asked may hold anything, and there is no end of it."""
    return getattr(scope.get("route"), "path", "unmatched")
