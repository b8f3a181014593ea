"""Watching: the endpoint of those who read a share. Read only, by the secret of the share alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from scribewire.dialects.table import DIALECTS
from scribewire.errors import NotAuthenticated, ScribewireError
from scribewire.gateway.audience import STOPPED, Viewer
from scribewire.gateway.services import Services
from scribewire.gateway.shares import Share
from scribewire.gateway.sockets import CLOSE_WAIT_S, Receive, Send
from scribewire.gateway.upgrade import Scope, accept_and_close

PATH: Final = "/v2/watch"


class Watching:
    """The ASGI endpoint."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one reader in, or say why not in the socket: browsers cannot read an HTTP refusal."""
        await receive()  # websocket.connect
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        try:
            share = await self._open(scope, query.get("token"))
            viewer = self._services.shares.join(share)
        except ScribewireError as error:
            self._services.metrics.refused.labels(error.code).inc()
            await accept_and_close(DIALECTS["v2"](""), error, send)
            return
        try:
            await send({"type": "websocket.accept"})
            await _show(share, viewer, receive, send)
        finally:
            self._services.shares.leave(share, viewer)

    async def _open(self, scope: Scope, secret: str | None) -> Share:
        try:
            return await self._services.shares.open(secret)
        except NotAuthenticated:
            self._services.limits.count_refusal(self._services.proxies.address_of(scope))
            raise


async def _show(share: Share, viewer: Viewer, receive: Receive, send: Send) -> None:
    """Show until the reader leaves, the share is closed or over, or the service stops."""

    async def say(text: str) -> None:
        await send({"type": "websocket.send", "text": text})

    async def write() -> None:
        try:
            await viewer.write(say)
            await send({"type": "websocket.close", "code": viewer.close_code})
        except OSError:
            pass  # the server's way to say that the reader is gone

    async def read() -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            await asyncio.sleep(0)  # what a reader says is of no consequence, however much it is

    reader, writer, closing = (asyncio.create_task(task) for task in (read(), write(), viewer.closing.wait()))
    try:
        left_s = (share.expires_at - datetime.now(UTC)).total_seconds()
        done, _ = await asyncio.wait({reader, writer, closing}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            viewer.tell(STOPPED)
            viewer.close(1000)
        if not reader.done():
            await asyncio.wait({reader, writer}, timeout=CLOSE_WAIT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reader, writer, closing):
            task.cancel()
        await asyncio.gather(reader, writer, closing, return_exceptions=True)
