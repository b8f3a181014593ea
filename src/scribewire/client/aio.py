"""The asynchronous client: the control plane, and sessions that take audio and give text."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from scribewire.client.core import Bounds, Course
from scribewire.client.durable import DurableSession
from scribewire.client.sources import Source, audio_of, is_live
from scribewire.client.wire import Event, Final, Flushed, Message, Partial, State, Status, error_of_answer, parse
from scribewire.errors import Disconnected, ScribewireError, Unreachable

_BASE = "/api/v4"
_KEY_HEADER = "x-zoom-s2t-key"
# One frame of the contract holds at most 1 MiB; a second of audio a frame lets Ctrl-C and partials through.
_FRAME_BYTES = 32_000
# A durable session has its socket back within this time of a network that went away without a word. The service holds
# nobody back for longer than 5 s.
_PONG_WAIT_S = 30.0
_PROGRESS_S = 0.5


class Client:
    """A service and a key. An asynchronous context manager; sessions may run at the same time.

    `wait_s` bounds every call but `initialize`. Every failure is a leaf of scribewire.errors: Unreachable when nothing
    answers, else what the server said.
    """

    def __init__(self, url: str, key: str, *, wait_s: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self.wait_s = wait_s
        self._headers = {_KEY_HEADER: key}
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=self._headers, timeout=wait_s, trust_env=not is_loopback(self.url)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def status(self) -> Status:
        """Look, without causing anything."""
        return self._read_status(await self._call("GET", "/realtime/status"))

    async def initialize(self, *, wait_s: float = 180.0, on_status: Callable[[Status], object] | None = None) -> Status:
        """Start workers if there are none, and wait until one is ready. Needs the scope `admin`.

        `on_status` is called with each status that differs from the one before, the last one ready.
        """
        asking = asyncio.create_task(self._call("POST", "/realtime/initialize", wait_s=wait_s))
        try:
            if on_status is not None:
                await self._watch(asking, on_status)
            ready = self._read_status(await asking)
        finally:
            asking.cancel()
        if on_status is not None:
            on_status(ready)
        return ready

    def _read_status(self, answer: Any) -> Status:
        try:
            return msgspec.convert(answer, Status)
        except msgspec.ValidationError as error:
            raise ScribewireError(f"{self.url} is not a Scribewire service.") from error

    async def _watch(self, asking: asyncio.Task[Any], on_status: Callable[[Status], object]) -> None:
        seen = ""
        while not asking.done():
            status = await self.status()
            if status.status != seen and not status.ready:
                on_status(status)
            seen = status.status
            await asyncio.wait({asking}, timeout=_PROGRESS_S)

    async def create_key(
        self, name: str, scopes: list[str], *, expires_at: str | None = None, max_sessions: int | None = None
    ) -> dict[str, Any]:
        """Make a key; the answer's `key` is its secret, said this once."""
        asked = {"name": name, "scopes": scopes, "expires_at": expires_at, "max_sessions": max_sessions}
        body = {key: value for key, value in asked.items() if value is not None}
        return dict(await self._call("POST", "/keys", body=body))

    async def keys(self) -> list[dict[str, Any]]:
        """List the keys, without secrets."""
        return list(await self._call("GET", "/keys"))

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key; its live sessions end within seconds."""
        await self._call("DELETE", f"/keys/{key_id}")

    async def fleet(self) -> dict[str, Any]:
        """Show the workers: how each stands, and what it carries."""
        return dict(await self._call("GET", "/fleet"))

    async def drain(self, worker: str) -> None:
        """Have a worker take no more sessions and end with its last; those that it has move to others."""
        await self._call("POST", f"/fleet/workers/{quote(worker, safe='')}/drain")

    async def sessions(self) -> list[dict[str, Any]]:
        """List the reports of sessions: all for an admin, else one's own."""
        return list(await self._call("GET", "/sessions"))

    async def transcribe(
        self,
        source: Source,
        *,
        language: str | None = None,
        type: Literal["fast", "quality"] = "fast",  # noqa: A002 - the wire's word
        partial: bool = True,
        actual_numbers: bool = False,
        vocabulary: Sequence[str] = (),
        live: bool = False,
        bounds: Bounds | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Give what is heard in a source, to its end, over as many sockets as it takes.

        A source is made to wait while the service does not listen, unless it is a microphone or said to be `live`.
        Raises what the source raises, and what the service says of a session that cannot go on.
        """
        options = options_of(partial=partial, actual_numbers=actual_numbers, vocabulary=vocabulary)
        async with self._durable(language, type, options, bounds) as session:
            feeding = asyncio.create_task(_feed(session, source, live=live or is_live(source)))
            feeding.add_done_callback(lambda fed: _fail_with(session, fed))
            try:
                async for event in session:
                    yield event
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)

    @asynccontextmanager
    async def durable_session(
        self,
        *,
        language: str | None = None,
        type: Literal["fast", "quality"] = "fast",  # noqa: A002 - the wire's word
        partial: bool = True,
        actual_numbers: bool = False,
        vocabulary: Sequence[str] = (),
        bounds: Bounds | None = None,
    ) -> AsyncIterator[DurableSession]:
        """Open a session that outlives its sockets, to send to and to iterate; it connects by itself."""
        options = options_of(partial=partial, actual_numbers=actual_numbers, vocabulary=vocabulary)
        async with self._durable(language, type, options, bounds) as session:
            yield session

    @asynccontextmanager
    async def _durable(
        self, language: str | None, type_: str, options: Mapping[str, object], bounds: Bounds | None
    ) -> AsyncIterator[DurableSession]:
        async def open_socket() -> ClientConnection:
            return await self.connect(await self._session_url(language, type_), pong_wait_s=_PONG_WAIT_S)

        session = DurableSession(Course(options, bounds, now=asyncio.get_running_loop().time()), open_socket)
        try:
            yield session
        finally:
            await session.close()

    @asynccontextmanager
    async def session(
        self,
        *,
        language: str | None = None,
        type: Literal["fast", "quality"] = "fast",  # noqa: A002 - the wire's word
        partial: bool = True,
        actual_numbers: bool = False,
        vocabulary: Sequence[str] = (),
        listen_wait_s: float = 150.0,
    ) -> AsyncIterator[Session]:
        """Open a session of one socket and wait until the service listens, at most `listen_wait_s`.

        It ends with its socket; `transcribe` and `durable_session` do not.
        """
        connection = await self.connect(await self._session_url(language, type))
        async with connection:
            session = Session(connection)
            options = options_of(partial=partial, actual_numbers=actual_numbers, vocabulary=vocabulary)
            await session.start(options, wait_s=listen_wait_s)
            yield session

    async def _session_url(self, language: str | None, type_: str) -> str:
        asked = {"language": language, "type": type_}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return f"{(await self.status()).endpoint}?{query}"

    async def connect(self, url: str, *, pong_wait_s: float | None = None) -> ClientConnection:
        """Open a socket and nothing more; Session speaks on it, and `session` does both.

        Without `pong_wait_s` a network that went away without a word is found by TCP alone.
        """
        try:
            return await connect(
                url,
                additional_headers=self._headers,
                compression=None,  # audio does not compress
                proxy=None if is_loopback(url) else True,
                open_timeout=self.wait_s,
                # A server that holds a fast sender back answers pings late.
                ping_timeout=pong_wait_s,
                close_timeout=2.0,
            )
        except InvalidStatus as refused:
            answer = refused.response
            raise error_of_answer(
                answer.status_code, bytes(answer.body), answer.headers.get("Retry-After")
            ) from refused
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise Unreachable(f"Nothing answers at {_shown(url)}.") from error

    async def _call(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, wait_s: float | None = None
    ) -> Any:
        try:
            answer = await self._http.request(method, _BASE + path, json=body, timeout=wait_s or self.wait_s)
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self.url} did not answer within {wait_s or self.wait_s:g} s.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"Nothing answers at {self.url}.") from error
        if not answer.is_success:
            raise error_of_answer(answer.status_code, answer.content, answer.headers.get("Retry-After"))
        if not answer.content:
            return None
        try:
            return msgspec.json.decode(answer.content)
        except msgspec.DecodeError as error:
            raise ScribewireError(f"{self.url} is not a Scribewire service.") from error


class Session:
    """One conversation. Send from one task and iterate in another; iteration ends once all is handled."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.id = ""

    async def start(self, options: Mapping[str, object], *, wait_s: float) -> None:
        """Send `start` and wait for `listening`. Done by Client.session."""
        await self._say({"action": "start", **options})
        try:
            message = await asyncio.wait_for(self._hear(), wait_s)
        except TimeoutError as error:
            raise Unreachable(f"The service did not listen within {wait_s:g} s.") from error
        if isinstance(message, State):
            self.id = message.session_id or ""

    async def send(self, audio: bytes) -> None:
        """Send PCM, s16le, 16 kHz, mono, any number of bytes; waits while the service holds a fast sender back."""
        for at in range(0, len(audio), _FRAME_BYTES):
            await self._send(audio[at : at + _FRAME_BYTES])

    async def flush(self, mark: str | int) -> None:
        """Ask for the finals of all that was sent; Flushed with this mark follows them."""
        await self._say({"action": "flush", "id": mark})

    async def stop(self) -> None:
        """Ask for the rest; the iteration ends after it."""
        await self._say({"action": "stop"})

    async def __aiter__(self) -> AsyncIterator[Partial | Final | Flushed | State]:
        """Give every message up to the end, which is not given.

        Raises the error that the server sends, or Disconnected when the socket closes before the end.
        """
        while True:
            message = await self._hear()
            if isinstance(message, State) and message.state == "stopped":
                return
            yield message

    async def _hear(self) -> Message:
        try:
            return parse(await self._connection.recv())
        except ConnectionClosed as closed:
            raise Disconnected from closed

    async def _say(self, message: Mapping[str, Any]) -> None:
        await self._send(msgspec.json.encode(message).decode())

    async def _send(self, frame: str | bytes) -> None:
        try:
            await self._connection.send(frame)
        except ConnectionClosed as closed:
            raise Disconnected from closed


def options_of(*, partial: bool, actual_numbers: bool, vocabulary: Sequence[str]) -> dict[str, object]:
    """Give the options of a start message."""
    options: dict[str, object] = {"partial": partial, "actual_numbers": actual_numbers}
    return {**options, "vocabulary": list(vocabulary)} if vocabulary else options


async def _feed(session: DurableSession, source: Source, *, live: bool) -> None:
    async for block in audio_of(source):
        await session.send(block, live=live)
    await session.stop()


def _fail_with(session: DurableSession, fed: asyncio.Task[None]) -> None:
    if not fed.cancelled() and (error := fed.exception()) is not None:
        session.fail(error)


def is_loopback(url: str) -> bool:
    """Say whether a URL points at this machine: it takes no proxy, and may be shown the machine's own key."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(url: str) -> str:
    return url.split("?")[0]
