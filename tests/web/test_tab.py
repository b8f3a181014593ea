"""The sound of another tab on the captions page."""

from __future__ import annotations

import asyncio
from itertools import groupby
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from scribewire.tones import say
from tests.origin import reply, serving
from tests.web.administering import SCRIPTED
from tests.web.captioning import connect, text_of, until_state, write_wav
from tests.web.conftest import Services
from tests.web.visiting import Visitor, browsing

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

TITLE = "A tab that plays"


async def test_every_word_that_another_tab_plays_is_heard(services: Services, browser: Browser, tmp_path: Path) -> None:
    del browser  # so that a machine without one skips this
    service = await services.start(SCRIPTED)
    await asyncio.to_thread(service.initialize)
    sound = write_wav(tmp_path / "sound.wav", say("alfa bravo charlie delta")).read_bytes()
    async with serving() as elsewhere, browsing(shown_tab=TITLE) as browser_of_both:
        elsewhere.answers["/"] = reply(
            f"<title>{TITLE}</title><audio src='/sound.wav'></audio>".encode(), type_="text/html"
        )
        elsewhere.answers["/sound.wav"] = reply(sound, type_="audio/wav")
        visitor = Visitor(browser_of_both)
        page = await connect(visitor, service)
        tab = await page.context.new_page()
        await tab.goto(elsewhere.url)
        await page.bring_to_front()
        await page.get_by_label("Sound of a tab").check()
        await page.get_by_role("button", name="Start", exact=True).click()
        await until_state(page, "listening")
        await tab.evaluate("document.querySelector('audio').play()")
        await expect(page.locator("#transcript p")).to_have_count(1)
        await page.get_by_role("button", name="Stop", exact=True).click()
        await until_state(page, "stopped")
        # A busy browser plays a moment of silence within a tone, which makes it two of the same word.
        heard = [word for word, _ in groupby((await text_of(page)).split())]
        assert heard == ["alfa", "bravo", "charlie", "delta"]
        await visitor.leave()
        assert visitor.complaints == []
