"""What every page looks like, in both themes, wide and narrow: nothing in anybody's way, and a picture to look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from scribewire.tones import say
from service import Service, running
from tests.web.administering import CONSOLE, SCRIPTED, make_key, sign_in
from tests.web.captioning import choose_file, connect, share, until_state, write_wav
from tests.web.conftest import Services
from tests.web.visiting import THEMES, Theme, Visitor, find_barriers, overflow_px, take_screenshot
from wire import Talk

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

WIDE_PX, NARROW_PX = 1280, 360
# What a page must fit into: 1280 px at 400 % (WCAG 2.2, 1.4.10).
NARROWEST_PX = 320
looks = pytest.mark.parametrize("theme", THEMES)
widths = pytest.mark.parametrize("width_px", [WIDE_PX, NARROW_PX])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service with something to show: a worker, a live session, keys, a history."""
    async with running(SCRIPTED) as service:
        for name in ("main hall", "a key with a name that is longer than most, as people will have it", "gone"):
            made = make_key(service, name=name, scopes=["realtime"], max_sessions=2)
        service.call("DELETE", f"/api/v4/keys/{made['id']}")
        await asyncio.to_thread(service.initialize)
        talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
        await talk.start()
        await talk.send(say("alfa bravo charlie"), pace=None)
        await talk.until("text")
        yield service
        await talk.stop()


async def look(page: Page, name: str, theme: Theme, width_px: int) -> None:
    """Keep a picture, and mind what stands in anybody's way or out of the window."""
    await take_screenshot(page, f"{name}-{theme}-{width_px}")
    assert await find_barriers(page) == []
    usual = page.viewport_size
    assert usual
    if width_px == NARROW_PX:
        await page.set_viewport_size({"width": NARROWEST_PX, "height": usual["height"]})
    assert await overflow_px(page) == 0
    await page.set_viewport_size(usual)


@looks
@widths
async def test_the_console_before_a_key(visitor: Visitor, service: Service, theme: Theme, width_px: int) -> None:
    page = await visitor.open(service, CONSOLE, theme=theme, width_px=width_px)
    await look(page, "console-sign-in", theme, width_px)


@looks
@widths
async def test_the_console_filled(visitor: Visitor, service: Service, theme: Theme, width_px: int) -> None:
    page = await visitor.open(service, CONSOLE, theme=theme, width_px=width_px)
    await sign_in(page, service.key)
    await expect(page.locator("#workers-table [data-label=CPU]")).to_contain_text("%")
    await page.get_by_label("Show revoked and expired keys").check()
    await page.locator("#chart-lag summary").click()
    await expect(page.locator("#chart-lag tbody tr").first).to_be_visible()
    await look(page, "console", theme, width_px)


@looks
async def test_the_console_of_a_service_that_is_scaled_down(visitor: Visitor, services: Services, theme: Theme) -> None:
    service = await services.start(SCRIPTED)
    page = await visitor.open(service, CONSOLE, theme=theme)
    await sign_in(page, service.key)
    await expect(page.locator("#workers")).to_contain_text("No workers")
    await look(page, "console-scaled-down", theme, WIDE_PX)


@looks
async def test_the_questions_of_the_console(visitor: Visitor, service: Service, theme: Theme) -> None:
    page = await visitor.open(service, CONSOLE, theme=theme, width_px=NARROW_PX)
    await sign_in(page, service.key)
    await page.get_by_role("button", name="Drain").click()
    await look(page, "console-question", theme, NARROW_PX)
    await page.keyboard.press("Escape")
    await page.get_by_label("What it is for").fill("stage")
    await page.get_by_role("button", name="Make the key").click()
    await page.get_by_role("button", name="Copy").click()
    await look(page, "console-secret", theme, NARROW_PX)


@looks
@widths
async def test_the_captions_page_before_a_key(visitor: Visitor, service: Service, theme: Theme, width_px: int) -> None:
    page = await visitor.open(service, "/", theme=theme, width_px=width_px)
    await look(page, "captions-sign-in", theme, width_px)


@looks
@widths
async def test_the_captions_page_and_its_audience_in_the_midst_of_a_session(
    visitor: Visitor, service: Service, tmp_path: Path, theme: Theme, width_px: int
) -> None:
    pause = bytes(2 * 16 * 1500)
    spoken = say("alfa bravo charlie delta echo foxtrot golf hotel india juliett") + pause + say("kilo lima " * 20)
    speaker = await connect(visitor, service, theme=theme, width_px=width_px)
    link = await share(speaker)
    viewer = await visitor.open(service, link, theme=theme, width_px=width_px)
    overlay = await visitor.open(service, link.replace("/watch", "/captions"), theme=theme, width_px=width_px)
    await look(viewer, "watch-waiting", theme, width_px)
    await choose_file(speaker, write_wav(tmp_path / "words.wav", spoken), "realtime")
    await speaker.get_by_role("button", name="Start", exact=True).click()
    for page, name in ((speaker, "captions-live"), (viewer, "watch-live")):
        await expect(page.locator("#transcript p")).to_have_count(1)
        await expect(page.locator("#partial")).not_to_be_empty()
        await look(page, name, theme, width_px)
    await expect(overlay.locator(".stage-line").last).not_to_be_empty()
    await look(overlay, "overlay-live", theme, width_px)
    await until_state(speaker, "stopped")
    await look(speaker, "captions-stopped", theme, width_px)
    await look(viewer, "watch-paused", theme, width_px)


@looks
async def test_a_link_that_is_no_share(visitor: Visitor, service: Service, theme: Theme) -> None:
    for page_name in ("watch", "captions"):
        page = await visitor.open(service, f"/{page_name}#sww_wrong", theme=theme)
        await expect(page.get_by_role("status")).to_contain_text("This link is not valid.")
        await look(page, f"{page_name}-invalid", theme, WIDE_PX)
