"""The captions page when the service goes away in the midst of a session, and when it is not there yet."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import expect

from scribewire.tones import say
from tests.web.administering import SCRIPTED, make_key
from tests.web.captioning import (
    caption_file,
    choose_file,
    connect,
    download,
    text_of,
    until_state,
    write_wav,
)
from tests.web.conftest import Services, kill
from tests.web.visiting import BROKEN, FAILED, REFUSED, UNREACHED, Visitor

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

SPOKEN = "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa"
# Pauses between phrases, so that there are finals before and after the break.
PHRASES = [" ".join(SPOKEN.split()[at : at + 4]) for at in range(0, 16, 4)]
PAUSE_MS = 1500


def phrases() -> bytes:
    """Say the phrases with pauses between them."""
    pause = bytes(2 * 16 * PAUSE_MS)
    return b"".join(say(phrase) + pause for phrase in PHRASES)


async def test_a_gateway_that_is_killed_and_comes_back_costs_no_word(
    visitor: Visitor, services: Services, tmp_path: Path
) -> None:
    visitor.tolerated |= {BROKEN, UNREACHED, FAILED}
    file = write_wav(tmp_path / "phrases.wav", phrases())
    service = await services.start(SCRIPTED)
    await asyncio.to_thread(service.initialize)
    page = await connect(visitor, service)
    undisturbed = await caption_file(page, file)
    assert undisturbed == SPOKEN
    before = json.loads(await download(page, "json"))["finals"]

    await page.locator("#pace-realtime").check()
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.locator("#transcript p")).to_have_count(1)
    await expect(page.locator("#partial")).not_to_be_empty()  # in the midst of a phrase
    kill(service)
    await until_state(page, "away")
    await expect(page.locator("#session-state")).to_contain_text("Reconnecting")
    await services.start_again(service, SCRIPTED)
    await until_state(page, "stopped")
    assert await text_of(page) == undisturbed
    await expect(page.locator("#notice")).to_contain_text("nothing was lost")
    # One session to whoever reads, times included.
    after = json.loads(await download(page, "json"))["finals"]
    assert [final["words"] for final in after] == [final["words"] for final in before]


async def test_a_worker_that_is_killed_is_not_even_noticed(
    visitor: Visitor, services: Services, tmp_path: Path
) -> None:
    service = await services.start(SCRIPTED)
    await asyncio.to_thread(service.initialize)
    page = await connect(visitor, service)
    await choose_file(page, write_wav(tmp_path / "phrases.wav", phrases()), "realtime")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.locator("#transcript p")).to_have_count(1)
    service.workers()[0].kill()
    await until_state(page, "stopped")
    assert await text_of(page) == SPOKEN


async def test_a_service_that_is_scaled_down_is_initialized_from_the_page(
    visitor: Visitor, services: Services, tmp_path: Path
) -> None:
    service = await services.start(SCRIPTED)
    page = await connect(visitor, service)
    await expect(page.locator("#status")).to_have_text("Realtime service is scaled down. Call /initialize to start it.")
    await page.get_by_role("button", name="Initialize").click()
    await expect(page.locator("#status")).to_have_text("Realtime service is ready")
    await expect(page.locator("#initialize")).to_be_hidden()
    assert await caption_file(page, write_wav(tmp_path / "words.wav", say("alfa bravo"))) == "alfa bravo"


async def test_a_key_that_may_not_start_the_service_is_told_who_may(visitor: Visitor, services: Services) -> None:
    visitor.tolerated.add(REFUSED)
    service = await services.start(SCRIPTED)
    page = await connect(visitor, service, key=make_key(service, name="speaker", scopes=["realtime"])["key"])
    await expect(page.locator("#status")).to_contain_text("scaled down")
    await expect(page.locator("#status-note")).to_be_visible()
    await expect(page.locator("#initialize")).to_be_hidden()


async def test_a_session_on_a_service_that_is_scaled_down_says_so(
    visitor: Visitor, services: Services, tmp_path: Path
) -> None:
    service = await services.start(SCRIPTED)
    page = await connect(visitor, service)
    await choose_file(page, write_wav(tmp_path / "words.wav", say("alfa bravo")))
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.locator("#problem")).to_have_text(
        "Realtime service is scaled down. Call /initialize to start it."
    )
    await expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()


async def test_a_key_that_there_is_not_is_refused_in_the_services_words(visitor: Visitor, services: Services) -> None:
    visitor.tolerated.add(REFUSED)
    service = await services.start(SCRIPTED)
    page = await visitor.open(service, "/")
    for key in ("sw_wrong", "ключ"):
        await page.get_by_label("Key", exact=True).fill(key)
        await page.keyboard.press("Enter")
        await expect(page.locator("#problem")).to_have_text("Not authenticated")
        await expect(page.locator("#setup")).to_be_hidden()
