"""A TCP proxy that can cut: whoever speaks through it loses the connection, without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Proxy:
    """Passes connections on to a service. `cut` breaks those that are open; new ones are taken all the same."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self._target = urlsplit(target)
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break every connection that is open, as a dead network does, with what was on its way."""
        for writer in self._writers:
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        there = await asyncio.open_connection(self._target.hostname, self._target.port)
        ends = {writer, there[1]}
        self._writers |= ends
        try:
            ways = [asyncio.create_task(_pass(reader, there[1])), asyncio.create_task(_pass(there[0], writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._writers -= ends
            for end in ends:
                end.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while block := await reader.read(4096):
            writer.write(block)
            await writer.drain()


@asynccontextmanager
async def cutting(target: str) -> AsyncIterator[Proxy]:
    """Stand before a service until the block ends."""
    proxy = Proxy(target)
    async with await asyncio.start_server(proxy.carry, "127.0.0.1", 0) as server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
        proxy.cut()
