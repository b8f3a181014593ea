"""What lets the other tests fail: the visitor minds what a browser complains of, and axe what is in people's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from service import Service, running
from tests.web.administering import SCRIPTED
from tests.web.visiting import Visitor, find_barriers, overflow_px

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service that is scaled down."""
    async with running(SCRIPTED) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def lenient(browser: Browser) -> AsyncIterator[Visitor]:
    """Give a visitor whose complaints fail no test by themselves."""
    visitor = Visitor(browser)
    yield visitor
    await visitor.leave()


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("void document.body.setAttribute('style', 'color: red')", "policy violated: style-src"),
        ("void fetch('http://localhost:9/').catch(() => 0)", "policy violated: connect-src"),
        ("void (new Image().src = 'http://localhost:9/x.png')", "policy violated: img-src"),
        ("void document.head.append(Object.assign(document.createElement('script'), {text: '1'}))", "script-src"),
        ("void setTimeout(() => { throw new Error('boom') })", "uncaught: boom"),
        ("void Promise.reject(new Error('boom'))", "uncaught: boom"),
        ("void console.warn('mind this')", "mind this"),
        ("void fetch('/web/none.js')", "404"),
    ],
)
async def test_what_goes_wrong_in_a_page_is_complained_of(
    lenient: Visitor, service: Service, script: str, complaint: str
) -> None:
    page = await lenient.open(service, "/console")
    assert lenient.complaints == []
    await page.evaluate(script)
    async with asyncio.timeout(20):
        while not any(complaint in said for said in lenient.complaints):
            await asyncio.sleep(0.02)


async def test_what_stands_in_peoples_way_is_found(lenient: Visitor, service: Service) -> None:
    page = await lenient.open(service, "/console", width_px=320)
    await page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any(barrier.startswith("button-name: ") for barrier in await find_barriers(page))
    await page.evaluate("document.querySelector('h1').style.width = '500px'")
    assert await overflow_px(page) > 0
