"""A service that hears audio and says what a test wants, when it wants it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection

from tests.client.fake_service import LISTENING, READY, FakeService, running

FIRST = "we walked along the road until the sun went down behind the hills"
SECOND = "she opened the window"
# As long as both, and the pause between them.
SPEECH = bytes(6 * 32_000)


def final(text: str, start_ms: int) -> str:
    words = [[word, start_ms + n * 200, start_ms + n * 200 + 200, 0.9] for n, word in enumerate(text.split())]
    return json.dumps({"text": text, "is_final": True, "offset_ms": words[-1][2], "words": words})


def partial(text: str, offset_ms: int) -> str:
    return json.dumps({"text": text, "is_final": False, "offset_ms": offset_ms, "stability": 0.5})


class Speaking(FakeService):
    """Says what a test puts into `says` once it has so many bytes of audio; two finals follow the client's stop.

    `cuts_at` so many bytes it cuts the first connection.
    """

    def __init__(self) -> None:
        self.says: dict[int, list[str]] = {}
        self.cuts_at: int | None = None
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        ready = {"GET /api/v4/realtime/status": (200, READY), "POST /api/v4/realtime/initialize": (200, READY)}
        super().__init__(self._talk, ready)

    async def _talk(self, connection: ServerConnection) -> None:
        await self.hear(connection)
        await connection.send(LISTENING)
        while isinstance(frame := await connection.recv(), bytes):
            self.audio += frame
            if self.cuts_at and len(self.audio) >= self.cuts_at:
                self.cuts_at = None
                self.audio.clear()
                await connection.close(1012)
                return
            for message in self.says.pop(len(self.audio), []):
                await connection.send(message)
        self.said.append(flush := json.loads(frame))
        await self.may_stop.wait()
        await self.answer_end(connection, flush, final(FIRST, 0), final(SECOND, 5_000))


@asynccontextmanager
async def speaking() -> AsyncIterator[Speaking]:
    async with running(service := Speaking()):
        yield service


def ask(service: FakeService, *arguments: str) -> tuple[str, ...]:
    return ("transcribe", *arguments, "--url", service.url, "--key", "k")
