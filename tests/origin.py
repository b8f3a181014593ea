"""An HTTP server of this machine that answers as it is told, to the byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

# Writes a whole answer, head included.
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes, *, status: str = "200 OK", type_: str = "audio/mpeg", **headers: str) -> Answer:
    """Answer at once and whole."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        given = {"Content-Type": type_, "Content-Length": str(len(body))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        writer.write(head(status, given) + body)
        await writer.drain()

    return answer


def redirect(to: str, status: str = "302 Found") -> Answer:
    """Send elsewhere."""
    return reply(b"", status=status, Location=to)


def head(status: str, headers: Mapping[str, str], version: str = "HTTP/1.1") -> bytes:
    """Spell the beginning of an answer."""
    lines = [f"{version} {status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


class Origin:
    """The server. `answers` is by path and may be changed at any time; `asked` are the heads of all requests."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.port = 0
        self.open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Give the URL to which a path is appended."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """Give what was asked for, in order."""
        return [asked.split()[1] for asked in self.asked]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())  # type: ignore[arg-type] # a connection is served by a task
        self.open += 1
        try:
            asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(asked)
            missing = reply(b"", status="404 Not Found")
            await self.answers.get(asked.split()[1].partition("?")[0], missing)(writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self.open -= 1
            writer.close()

    async def close(self) -> None:
        """Break off every answer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Origin]:
    """Run one, on a free port unless one is given."""
    origin = Origin()
    server = await asyncio.start_server(origin._serve, host, port, ssl=tls)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        await origin.close()
