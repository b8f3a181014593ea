"""A service that says what a test tells it to, over real sockets: the contract's other side, without a recogniser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

Answer = tuple[int, Any]
Script = Callable[[ServerConnection], Awaitable[None]]

READY = {
    "status": "ready",
    "message": "Realtime service is ready for connections",
    "ready": True,
}
SCALED_DOWN = {
    "status": "scaled_down",
    "message": "Realtime service is scaled down. Call /initialize to start it.",
    "ready": False,
}
LISTENING = '{"state":"listening","session_id":"s1"}'
STOPPED = '{"state":"stopped"}'


@dataclass
class FakeService:
    """Answers REST calls from `answers` and runs `script` on every socket; keeps what it was sent."""

    script: Script
    answers: dict[str, Answer] = field(default_factory=dict)
    refuse_upgrade: Answer | None = None
    url: str = ""
    endpoint: str = ""
    calls: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    upgrades: list[tuple[str, Headers]] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)
    audio: bytearray = field(default_factory=bytearray)

    def answer(self, call: str) -> Answer:
        """Give status and body; the endpoint is put into what describes the service."""
        status, body = self.answers.get(call, (404, {"detail": "Not found"}))
        return status, {**body, "endpoint": self.endpoint} if isinstance(body, dict) and "ready" in body else body

    async def hear(self, connection: ServerConnection) -> Any:
        """Take frames until a message that is not audio, and give it."""
        while isinstance(frame := await connection.recv(), bytes):
            self.audio += frame
        self.said.append(message := json.loads(frame))
        return message

    async def end(self, connection: ServerConnection, *finals: str) -> None:
        """Take the flush and the stop with which a session that outlives its sockets ends, and answer both."""
        await self.answer_end(connection, await self.hear(connection), *finals)

    async def answer_end(self, connection: ServerConnection, flush: Any, *finals: str) -> None:
        """Answer such a flush, which was heard already, and the stop after it."""
        assert flush["action"] == "flush"
        for final in finals:
            await connection.send(final)
        await connection.send(json.dumps({"flushed": flush["id"]}))
        assert (await self.hear(connection))["action"] == "stop"
        await connection.send(STOPPED)


@asynccontextmanager
async def running(service: FakeService) -> AsyncIterator[FakeService]:
    """Serve it on two free ports: REST on one, sockets on the other."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer_one(service, reader, writer)
        finally:
            writer.close()

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        service.upgrades.append((request.path, request.headers))
        if service.refuse_upgrade is None:
            return None
        status, body = service.refuse_upgrade
        return Response(status, "Refused", Headers({"Retry-After": "7"}), json.dumps(body).encode())

    rest = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with rest, serve_sockets(service.script, "127.0.0.1", 0, process_request=refuse) as sockets:
        service.url = f"http://127.0.0.1:{rest.sockets[0].getsockname()[1]}"
        service.endpoint = f"ws://127.0.0.1:{next(iter(sockets.sockets)).getsockname()[1]}/v2/realtime"
        yield service


async def _answer_one(service: FakeService, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    service.calls.append((f"{method} {path}", headers, json.loads(body) if body else None))
    status, said = service.answer(f"{method} {path}")
    answer = b"" if said is None else json.dumps(said).encode()
    writer.write(f"HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
    await writer.drain()
