"""Merging: a client's messages and fetched sound as one stream of what arrives, which is what a socket reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Final

import msgspec

from scribewire.core import events as ev
from scribewire.dialects.base import Dialect
from scribewire.dialects.scriptix_messages import Loading
from scribewire.errors import AtCapacity, ScribewireError
from scribewire.gateway.fetching.source import Source
from scribewire.gateway.sessions import LiveSession
from scribewire.gateway.sockets import Message, Receive, Send

# Past this neither the client nor the source is read: it is how the socket holds them back.
_MAX_WAITING: Final = 4
_RETRY_AFTER_S: Final = 5
# Said here: the session begins once there is sound, so its machine never knows of the time before.
_LOADING: Final = msgspec.json.encode(Loading()).decode()
_LISTENING: Final = '{"state":"listening"'
_STOPPED: Final = '{"state":"stopped"}'
_OPTIONS: Final = ("partial", "actual_numbers")
_STOP: Final = '{"action":"stop"}'


class Merged:
    """What a socket receives while its audio is fetched: a start, the audio, a stop; and what the client says.

    A client need not send `start`: the session begins when there is sound. The options of the first one that it does
    send hold if it comes before that; else those of the query do.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        dialect: Dialect,
        live: LiveSession,
        source: Source,
        loads: asyncio.Semaphore,
    ) -> None:
        self._receive = receive
        self._send = send
        self._dialect = dialect
        self._live = live
        self._source = source
        self._loads = loads
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(_MAX_WAITING)
        self._start: str | None = None
        self._over = False
        self._listening = asyncio.Event()
        self._last_said = False

    async def load(self) -> None:
        """Say that the source is being looked for. To be called first."""
        await self._send({"type": "websocket.send", "text": _LOADING})

    async def send(self, message: Message) -> None:
        """Pass on what the socket says, and note how far it is."""
        text = message.get("text", "")
        self._last_said = self._last_said or message["type"] == "websocket.close" or text == _STOPPED
        await self._send(message)
        if text.startswith(_LISTENING):
            self._listening.set()

    async def receive(self) -> Message:
        """Give the next message."""
        return await self._waiting.get()

    async def listen(self) -> None:
        """Take what the client says until it is gone."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                # At once, though the socket may be holding its reading back.
                self._live.deliver(ev.ClientGone())
                await self._waiting.put(message)
                return
            text = message.get("text")
            if text is not None and not self._keeps_start(text):
                await self._waiting.put(message)
            # Binary frames are audio, of which there is another source.

    def _keeps_start(self, text: str) -> bool:
        """Take the first start for the session's own."""
        heard = self._dialect.hear(text)
        self._over = self._over or any(isinstance(event, ev.Stopped) for event in heard)
        if self._start is not None or not any(isinstance(event, ev.Started) for event in heard):
            return False
        self._start = text
        return True

    async def play(self) -> None:
        """Open the source, begin, give its audio, stop."""
        began = False
        try:
            if self._loads.locked():
                raise AtCapacity(retry_after_s=_RETRY_AFTER_S)
            async with AsyncExitStack() as stack:
                async with self._loads:
                    await stack.enter_async_context(self._source)
                    pcm = await self._source.first()
                await self._say(self._start or _start_of(self._dialect.request.query))
                began = True
                while pcm and not self._over:
                    await self._waiting.put({"type": "websocket.receive", "bytes": pcm})
                    pcm = await self._source.read()
        except ScribewireError as error:
            if not began:
                self._live.deliver(ev.Denied(error))
                return
            await self._complain(error)
        await self._say(_STOP)

    async def _complain(self, error: ScribewireError) -> None:
        """Say what ended the audio, once that may be said; what there was of it is still transcribed."""
        await self._listening.wait()
        for text in self._dialect.say(ev.Failed(error)):
            if not self._last_said:
                with suppress(OSError):  # the server's way to say that the client is gone
                    await self._send({"type": "websocket.send", "text": text})

    async def _say(self, text: str) -> None:
        await self._waiting.put({"type": "websocket.receive", "text": text})


def _start_of(query: Mapping[str, str]) -> str:
    options = {name: query[name].lower() == "true" for name in _OPTIONS if name in query}
    return msgspec.json.encode({"action": "start", **options}).decode()
