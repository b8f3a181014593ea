"""The blocking client: the asynchronous one, run by a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from scribewire.client import aio
from scribewire.client.core import Bounds
from scribewire.client.sources import Source
from scribewire.client.wire import Event, Status

_T = TypeVar("_T")


class Client:
    """A service and a key, for programs without a loop. A context manager; use it from one thread at a time."""

    def __init__(self, url: str, key: str, *, wait_s: float = 10.0) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scribewire-client", daemon=True)
        self._thread.start()
        self._client = self._run(_make(url, key, wait_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections and end the thread."""
        if self._loop.is_closed():
            return
        self._run(self._client.__aexit__(None, None, None))
        self._run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def status(self) -> Status:
        """Look, without causing anything."""
        return self._run(self._client.status())

    def initialize(self, *, wait_s: float = 180.0, on_status: Callable[[Status], object] | None = None) -> Status:
        """Start workers if there are none, and wait until one is ready. Needs the scope `admin`."""
        return self._run(self._client.initialize(wait_s=wait_s, on_status=on_status))

    def create_key(
        self, name: str, scopes: list[str], *, expires_at: str | None = None, max_sessions: int | None = None
    ) -> dict[str, Any]:
        """Make a key; the answer's `key` is its secret, said this once."""
        return self._run(self._client.create_key(name, scopes, expires_at=expires_at, max_sessions=max_sessions))

    def keys(self) -> list[dict[str, Any]]:
        """List the keys, without secrets."""
        return self._run(self._client.keys())

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key; its live sessions end within seconds."""
        self._run(self._client.revoke_key(key_id))

    def transcribe(
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
    ) -> Iterator[Event]:
        """Give what is heard in a source, to its end, over as many sockets as it takes; see the asynchronous client."""
        events = self._client.transcribe(
            source,
            language=language,
            type=type,
            partial=partial,
            actual_numbers=actual_numbers,
            vocabulary=vocabulary,
            live=live,
            bounds=bounds,
        )
        turn = asyncio.Lock()  # a step that was interrupted still cleans up: closing waits for it
        try:
            while (event := self._run(_next(events, turn))) is not None:
                yield event
        finally:
            if not self._loop.is_closed():
                self._run(_close(events, turn))

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C while waiting: the work is not to go on behind the caller's back
            raise


async def _make(url: str, key: str, wait_s: float) -> aio.Client:
    return aio.Client(url, key, wait_s=wait_s)


async def _next(events: AsyncGenerator[Event, None], turn: asyncio.Lock) -> Event | None:
    async with turn:
        return await anext(events, None)


async def _close(events: AsyncGenerator[Event, None], turn: asyncio.Lock) -> None:
    async with turn:
        await events.aclose()
