"""A browser for all of the tests, services for each, and a visitor who minds what the browser complains of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from importlib.resources import as_file, files
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from service import Service, running, start
from tests.e2e.conftest import end
from tests.web.visiting import Visitor, browsing

# A deadline for waiting: a worker starts within it on a machine with much else to do.
expect.set_options(timeout=30_000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Give a browser whose microphone hears the sample that comes with the package."""
    with as_file(files("scribewire") / "assets" / "sample.wav") as sample:
        async with browsing(sample) as browser:
            yield browser


def kill(service: Service) -> None:
    """End its gateway as a power cut does."""
    service.process.kill()
    service.process.wait()


class Services:
    """Starts services that run until the test has ended and its pages are closed."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def start(self, settings: Mapping[str, str]) -> Service:
        """Start one that nobody else uses."""
        return await self._stack.enter_async_context(running(settings))

    async def start_again(self, killed: Service, settings: Mapping[str, str]) -> Service:
        """Start one where another was: on its port, with its data folder."""
        again = await start(killed.data_dir, settings, port=urlsplit(killed.url).port or 0)
        self._stack.callback(end, again)
        return again


@pytest_asyncio.fixture(loop_scope="session")
async def services() -> AsyncIterator[Services]:
    """Give services of the test's own."""
    async with AsyncExitStack() as stack:
        yield Services(stack)


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, services: Services) -> AsyncIterator[Visitor]:
    """Give somebody with a browser; the test fails if that found something wrong. Pages go before services do."""
    visitor = Visitor(browser)
    try:
        yield visitor
    finally:
        await visitor.leave()
    assert visitor.complaints == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded, for whoever looks; none of them decides a test."""
    for report in terminalreporter.stats.get("passed", []):
        for name, figure in report.user_properties:
            terminalreporter.write_line(f"{name}: {figure} ({report.nodeid.rpartition('::')[2]})")
