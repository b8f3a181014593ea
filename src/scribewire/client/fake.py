"""A service without a recogniser, for the tests of programs that use the client: real sockets, scripted words, faults.

Its script is the audio: what `say` makes, it hears. It speaks the contract of status, initialize and sessions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from scribewire.client.fake_speech import Hearing, Message, say, silence
from scribewire.core.intake import Intake
from scribewire.errors import AtCapacity, NotAuthenticated, NotFound, ScribewireError

__all__ = ["KEY", "Close", "Drop", "FakeService", "Fault", "Refuse", "say", "silence"]

KEY: Final = "fake-key"
_KEY_HEADER: Final = "x-zoom-s2t-key"
_STATUS: Final = "GET /api/v4/realtime/status"
_INITIALIZE: Final = "POST /api/v4/realtime/initialize"


@dataclass(frozen=True, slots=True)
class Drop:
    """Break the connection without a word once so many bytes of audio came."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """Close with a code once so many bytes came: 1001 says that the service stops, 1012 that it starts again."""

    code: int
    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer `start` with an error; a busy service says with it when to come again."""

    error: ScribewireError = field(default_factory=lambda: AtCapacity(retry_after_s=1))


Fault = Drop | Close | Refuse


class FakeService:
    """What a program under test speaks to: its client is to be given `url` and `KEY`; any other key is refused.

    `faults` befall sessions in their order, one each; those after them go well. `starts` and `audio` hold what each
    session was sent.
    """

    def __init__(self, *, faults: Iterable[Fault] = (), key: str = KEY) -> None:
        self.url = ""
        self.starts: list[dict[str, Any]] = []
        self.audio: list[bytearray] = []
        self._endpoint = ""
        self._faults = deque(faults)
        self._key = key

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeService]:
        """Serve on two free ports of this machine until the block ends: calls on one, sockets on the other."""
        async with (
            await asyncio.start_server(self._answer_one, "127.0.0.1", 0) as calls,
            serve(self._talk, "127.0.0.1", 0, process_request=self._admit, compression=None) as sockets,
        ):
            self.url = f"http://127.0.0.1:{calls.sockets[0].getsockname()[1]}"
            self._endpoint = f"ws://127.0.0.1:{next(iter(sockets.sockets)).getsockname()[1]}/v2/realtime"
            yield self

    # --- the control plane -------------------------------------------------------------------------------------------

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            status, said = self._answer(head[0].rpartition(" ")[0], headers)
            body = msgspec.json.encode(said)
            fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
            writer.write(f"HTTP/1.1 {status} -\r\n{fields}\r\n\r\n".encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller left
        finally:
            writer.close()

    def _answer(self, call: str, headers: Mapping[str, str]) -> tuple[int, Message]:
        if headers.get(_KEY_HEADER) != self._key:
            return 401, {"detail": NotAuthenticated.sentence}
        if call not in (_STATUS, _INITIALIZE):
            return 404, {"detail": NotFound.sentence}
        message = "Realtime service is ready" + (" for connections" if call == _INITIALIZE else "")
        return 200, {"status": "ready", "message": message, "endpoint": self._endpoint, "ready": True}

    # --- the data plane ----------------------------------------------------------------------------------------------

    def _admit(self, _: ServerConnection, request: Request) -> Response | None:
        if request.headers.get(_KEY_HEADER) == self._key:
            return None
        return Response(401, "Unauthorized", Headers(), msgspec.json.encode({"detail": NotAuthenticated.sentence}))

    async def _talk(self, connection: ServerConnection) -> None:
        fault = self._faults.popleft() if self._faults else None
        try:
            start = msgspec.json.decode(await connection.recv(), type=dict[str, Any])
            self.starts.append(start)
            self.audio.append(bytearray())
            if isinstance(fault, Refuse):
                await _refuse(connection, fault.error)
                return
            await _say(connection, {"state": "listening", "session_id": f"fake-{len(self.starts)}"})
            await self._converse(connection, fault, self.audio[-1], wants_partials=start.get("partial") is not False)
        except ConnectionClosed:
            pass  # the client left

    async def _converse(
        self, connection: ServerConnection, fault: Drop | Close | None, audio: bytearray, *, wants_partials: bool
    ) -> None:
        hearing, intake = Hearing(), Intake()
        while not await _befalls(fault, connection, len(audio)):
            frame = await connection.recv()
            if isinstance(frame, bytes):
                audio += frame
                due = hearing.hear(intake.push(frame))
            else:
                message = msgspec.json.decode(frame, type=dict[str, Any])
                due = [*hearing.hear(intake.end()), *hearing.flush(), *_answers(message)]
            for said in due:
                if wants_partials or said.get("is_final") is not False:
                    await _say(connection, said)
                if said == _STOPPED:
                    return


_STOPPED: Final[Message] = {"state": "stopped"}


def _answers(message: Mapping[str, Any]) -> list[Message]:
    return [{"flushed": message.get("id")}] if message.get("action") == "flush" else [_STOPPED]


async def _befalls(fault: Drop | Close | None, connection: ServerConnection, audio_bytes: int) -> bool:
    if fault is None or audio_bytes < fault.after_bytes:
        return False
    if isinstance(fault, Close):
        await connection.close(fault.code)
    else:
        connection.transport.abort()
    return True


async def _refuse(connection: ServerConnection, error: ScribewireError) -> None:
    said: Message = {"error": str(error), "code": error.code}
    await _say(connection, said if error.retry_after_s is None else {**said, "retry_after": error.retry_after_s})
    await connection.close(error.close_code or 1000)


async def _say(connection: ServerConnection, message: Message) -> None:
    await connection.send(msgspec.json.encode(message).decode())
