"""The captions page with nothing but a keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from service import Service, running
from tests.web.captioning import until_state
from tests.web.visiting import Visitor

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

MOST_TABS = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service with the embedded recogniser, that is ready."""
    async with running() as service:
        await asyncio.to_thread(service.initialize)
        yield service


async def focused(page: Page) -> str:
    """Give the id of what has the focus, having seen that it shows."""
    found: dict[str, str] = await page.evaluate(
        """() => {
          const element = document.activeElement;
          const { outlineStyle, outlineWidth } = getComputedStyle(element);
          return { id: element.id, tag: element.tagName, outline: `${outlineStyle} ${outlineWidth}` };
        }"""
    )
    if found["tag"] != "BODY":
        assert not found["outline"].startswith("none"), f"{found} does not show that it has the focus"
    return found["id"]


async def tab_to(page: Page, id_: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(MOST_TABS):
        if await focused(page) == id_:
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"#{id_} is not reached by Tab")


async def test_a_whole_session_is_held_read_and_taken_home(visitor: Visitor, service: Service) -> None:
    page = await visitor.open(service, "/")
    await tab_to(page, "key")
    await page.keyboard.type(service.key)
    await page.keyboard.press("Enter")
    await expect(page.locator("#start")).to_be_focused()
    await page.keyboard.press("Enter")
    await until_state(page, "listening")
    await expect(page.locator("#stop")).to_be_focused()
    await expect(page.locator("#transcript p")).not_to_have_count(0)
    await page.keyboard.press("Enter")
    await until_state(page, "stopped")
    await expect(page.locator("#start")).to_be_focused()

    await tab_to(page, "scroller")
    await page.keyboard.press("ArrowLeft")
    last = await page.locator("#transcript .word").last.inner_text()
    await expect(page.locator("#word")).to_contain_text(f"“{last}”")
    await page.keyboard.press("ArrowLeft")
    assert await page.evaluate("document.activeElement.matches('.word')")
    await page.keyboard.press("Escape")
    assert await focused(page) == "scroller"

    await tab_to(page, "download-txt")
    async with page.expect_download() as waiting:
        await page.keyboard.press("Space")
    assert last in (await (await waiting.value).path()).read_text()

    await tab_to(page, "share")
    await page.keyboard.press("Enter")
    await expect(page.locator("#share-link")).to_be_visible()
    await tab_to(page, "stop-sharing")
    await page.keyboard.press("Enter")
    await expect(page.locator("#share")).to_be_visible()


async def test_the_theme_is_turned_and_stays_turned(visitor: Visitor, service: Service) -> None:
    page = await visitor.open(service, "/")
    await tab_to(page, "theme")
    await page.keyboard.press("Enter")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    dark = await page.evaluate(background)
    await page.goto(service.url + "/console")
    assert await page.evaluate(background) == dark
    assert await page.evaluate("Object.keys(localStorage)") == ["scribewire.theme"]
