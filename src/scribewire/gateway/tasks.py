"""Tasks that run until they are cancelled, and calls that must not hang: what the parts of a gateway owe to each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from scribewire.errors import ScribewireError

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


def begin_task(work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
    """Start what runs until it is cancelled, and say so should it end by itself."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_end)
    return task


async def within(limit_s: float, call: Awaitable[_T]) -> _T:
    """Await a call that may hang. Raises TimeoutError when it did."""
    async with asyncio.timeout(limit_s):
        return await call


@contextmanager
def logged(sentence: str) -> Iterator[None]:
    """Go on without what failed or hung, and say so."""
    try:
        yield
    except (ScribewireError, TimeoutError) as error:
        _log.warning(sentence, extra={"reason": str(error) or "no answer in time"})


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.critical("A task of the gateway broke", extra={"task": task.get_name()}, exc_info=task.exception())
