"""These tests run on the event loop that a scaler runs on in the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Name the one loop."""
    return {"uvloop": uvloop.new_event_loop}
