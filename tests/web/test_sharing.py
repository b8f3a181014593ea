"""Sharing: a speaker, and an audience in browsers of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from scribewire.tones import say
from service import Service, running
from tests.web.administering import SCRIPTED
from tests.web.captioning import caption_file, choose_file, connect, share, text_of, until_state, write_wav
from tests.web.conftest import Services, kill
from tests.web.visiting import BROKEN, FAILED, UNREACHED, Visitor

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

FIRST, THEN = "alfa bravo charlie", "delta echo foxtrot"
PAUSE = bytes(2 * 16 * 1500)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service that is ready, with the scripted engine."""
    async with running(SCRIPTED) as service:
        await asyncio.to_thread(service.initialize)
        yield service


@pytest.fixture
def two_phrases(tmp_path: Path) -> Path:
    """Give a file of two phrases with a pause between them."""
    return write_wav(tmp_path / "phrases.wav", say(FIRST) + PAUSE + say(THEN) + PAUSE)


async def test_who_comes_late_reads_what_was_said_before_and_then_along(
    visitor: Visitor, service: Service, two_phrases: Path
) -> None:
    speaker = await connect(visitor, service)
    link = await share(speaker)
    early = await visitor.open(service, link)
    await expect(early.locator("#status")).to_have_text("Waiting for the speaker")
    await choose_file(speaker, two_phrases, "realtime")
    await speaker.get_by_role("button", name="Start", exact=True).click()
    await expect(early.locator("#status")).to_have_text("Live")
    await expect(early.locator("#partial")).not_to_be_empty()
    await expect(early.locator("#transcript p")).to_have_count(1)
    late = await visitor.open(service, link)
    await expect(late.locator("#transcript p").first).to_contain_text(FIRST)
    await expect(speaker.locator("#viewers")).to_have_text("2 watching")
    await until_state(speaker, "stopped")
    for page in (early, late):
        await expect(page.locator("#status")).to_contain_text("Paused")
        await expect(page.locator("#partial")).to_be_empty()
        assert await text_of(page) == f"{FIRST} {THEN}"


async def test_an_audience_is_told_that_the_sharing_has_ended(
    visitor: Visitor, service: Service, tmp_path: Path
) -> None:
    speaker = await connect(visitor, service)
    link = await share(speaker)
    await caption_file(speaker, write_wav(tmp_path / "words.wav", say(FIRST)))
    viewer = await visitor.open(service, link)
    await expect(viewer.locator("#transcript")).to_contain_text(FIRST)
    await speaker.get_by_role("button", name="Stop sharing").click()
    await expect(viewer.locator("#status")).to_have_text("The speaker has ended the sharing.")
    await expect(viewer.locator("#transcript")).to_contain_text(FIRST)
    await expect(speaker.locator("#sharing")).to_be_hidden()
    late = await visitor.open(service, link)
    await expect(late.locator("#status")).to_contain_text("This link is not valid.")


async def test_sharing_that_begins_in_the_midst_of_a_session_loses_nothing(
    visitor: Visitor, service: Service, two_phrases: Path
) -> None:
    speaker = await connect(visitor, service)
    await choose_file(speaker, two_phrases, "realtime")
    await speaker.get_by_role("button", name="Start", exact=True).click()
    await expect(speaker.locator("#transcript p")).to_have_count(1)
    viewer = await visitor.open(service, await share(speaker))
    await until_state(speaker, "stopped")
    assert await text_of(speaker) == f"{FIRST} {THEN}"
    await expect(viewer.locator("#transcript")).to_contain_text(THEN)


async def test_an_audience_stays_when_the_gateway_is_killed_and_comes_back(
    visitor: Visitor, services: Services, two_phrases: Path
) -> None:
    visitor.tolerated |= {BROKEN, UNREACHED, FAILED}
    service = await services.start(SCRIPTED)
    await asyncio.to_thread(service.initialize)
    speaker = await connect(visitor, service)
    viewer = await visitor.open(service, await share(speaker))
    await choose_file(speaker, two_phrases, "realtime")
    await speaker.get_by_role("button", name="Start", exact=True).click()
    await expect(viewer.locator("#transcript p")).to_have_count(1)
    kill(service)
    await expect(viewer.locator("#status")).to_contain_text("Trying again")
    await services.start_again(service, SCRIPTED)
    await until_state(speaker, "stopped")
    assert await text_of(speaker) == f"{FIRST} {THEN}"
    await expect(viewer.locator("#transcript")).to_contain_text(THEN)


@pytest.mark.parametrize("fragment", ["", "#sww_wrong", "#<script>"])
async def test_a_link_that_is_no_share_says_so(visitor: Visitor, service: Service, fragment: str) -> None:
    page = await visitor.open(service, f"/watch{fragment}")
    await expect(page.locator("#status")).to_contain_text("This link is not valid.")


async def test_the_secret_of_a_share_is_told_to_no_log(visitor: Visitor, service: Service) -> None:
    speaker = await connect(visitor, service)
    link = await share(speaker)
    viewer = await visitor.open(service, link)
    await expect(viewer.locator("#status")).to_have_text("Waiting for the speaker")
    secret = link.partition("#")[2]
    assert secret.startswith("sww_")
    assert secret not in service.log.read_text()


@pytest.mark.parametrize(
    ("query", "lines", "background"),
    [("", 2, "rgb(0, 0, 0)"), ("?lines=1&background=green", 1, "rgb(0, 177, 64)"), ("?background=transparent", 2, "")],
)
async def test_the_overlay_shows_the_last_lines_on_what_it_is_told_to(
    visitor: Visitor, service: Service, tmp_path: Path, query: str, lines: int, background: str
) -> None:
    speaker = await connect(visitor, service)
    secret = (await share(speaker)).partition("#")[2]
    overlay = await visitor.open(service, f"/captions{query}#{secret}")
    await caption_file(speaker, write_wav(tmp_path / "words.wav", say("alfa bravo charlie delta " * 5)))
    shown = overlay.locator(".stage-line")
    await expect(shown).to_have_count(lines)
    await expect(shown.last).to_contain_text("delta")
    colours = await overlay.evaluate(
        "[document.documentElement, document.body, document.querySelector('#stage')]"
        ".map((element) => getComputedStyle(element).backgroundColor)"
    )
    seen = [colour for colour in colours if colour != "rgba(0, 0, 0, 0)"]
    assert seen[-1:] == ([background] if background else [])


async def test_an_audience_is_asked_for_no_key(visitor: Visitor, service: Service) -> None:
    speaker = await connect(visitor, service)
    viewer = await visitor.open(service, await share(speaker))
    await expect(viewer.locator("#status")).to_have_text("Waiting for the speaker")
    await expect(viewer.locator("input")).to_have_count(0)
