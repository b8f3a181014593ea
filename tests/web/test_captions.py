"""The captions page with real speech and the recogniser that comes with the package."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from importlib.resources import as_file, files
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from scribewire.assets import sample_text
from scribewire.core.captions import Captioner
from scribewire.core.subtitles import Spelling, Srt, WebVtt
from service import Service, running
from tests.e2e.words import share_right
from tests.speech import SHARED_CLIPS, needs_shared_clips
from tests.web.captioning import (
    Overheard,
    caption_file,
    choose_file,
    connect,
    download,
    text_of,
    until_state,
)
from tests.web.visiting import Visitor, browsing, take_screenshot
from wire import read_wav, transcribe

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

PARTIAL_AFTER_S = "first partial, in seconds from the sending of the first loud audio"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service with the embedded recogniser, that is ready."""
    async with running() as service:
        await asyncio.to_thread(service.initialize)
        yield service


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the sample of the package as a file to choose."""
    file = tmp_path_factory.mktemp("sample") / "sample.wav"
    with as_file(files("scribewire") / "assets" / "sample.wav") as packed:
        shutil.copy(packed, file)
    return file


async def speak(page: Page, *, finals: int) -> None:
    """Speak into the microphone until so many finals are shown, and stop."""
    await page.get_by_role("button", name="Start", exact=True).click()
    await until_state(page, "listening")
    await expect(page.locator("#transcript p")).to_have_count(finals, timeout=60_000)
    await page.get_by_role("button", name="Stop", exact=True).click()
    await until_state(page, "stopped")


async def test_what_is_said_into_the_microphone_is_read_while_it_is_said(
    visitor: Visitor, service: Service, record_property: Callable[[str, object], None]
) -> None:
    page = await connect(visitor, service)
    overheard = Overheard.on(page)
    await speak(page, finals=2)
    assert share_right(sample_text(), await text_of(page)) >= 0.9
    await expect(page.locator("#partial")).to_be_empty()
    record_property(PARTIAL_AFTER_S, round(overheard.first_partial_s(), 2))
    # Words stood there before they were final.
    assert overheard.partials[0][1]
    first_final = next(text["text"] for _, text in overheard.told if text.get("is_final"))
    assert len(overheard.partials[0][1]) < len(first_final)


@needs_shared_clips
@pytest.mark.parametrize("name", ["lj-001-0006", "rtstt-01"])
async def test_human_speech_is_captioned_as_it_is_without_a_browser(
    service: Service, name: str, browser: Browser, record_property: Callable[[str, object], None]
) -> None:
    del browser  # so that a machine without one skips this
    clip = SHARED_CLIPS / "wav" / f"{name}.wav"
    direct = await transcribe(service.socket_url + "/v2/realtime", service.key, read_wav(clip), pace=None)
    async with browsing(clip) as hearing:
        visitor = Visitor(hearing)
        page = await connect(visitor, service)
        overheard = Overheard.on(page)
        await speak(page, finals=len(direct.finals))
        record_property(PARTIAL_AFTER_S, round(overheard.first_partial_s(), 2))
        assert share_right(direct.text, await text_of(page)) >= 0.8
        await visitor.leave()
        assert visitor.complaints == []


async def test_the_partial_looks_unlike_the_finals_and_is_not_read_out(
    visitor: Visitor, service: Service, sample: Path
) -> None:
    page = await connect(visitor, service)
    await choose_file(page, sample, "realtime")
    await page.get_by_role("button", name="Start", exact=True).click()
    partial = page.locator("#partial")
    await expect(partial).not_to_be_empty()
    assert await partial.evaluate("(element) => getComputedStyle(element).fontStyle") == "italic"
    await expect(partial).to_have_attribute("aria-live", "off")
    log = page.get_by_role("log")
    await expect(log).to_have_attribute("aria-live", "polite")
    assert await log.locator("#partial").count() == 0
    await expect(page.locator("#transcript p")).to_have_count(1)
    await expect(partial).not_to_be_empty()
    await take_screenshot(page, "captions-sample")  # the one of the README
    await expect(page.locator("#latency")).to_contain_text("s")
    await expect(page.get_by_role("meter", name="Level")).not_to_have_attribute("aria-valuenow", "-60")
    await until_state(page, "stopped")


class _Words:
    """The words of a JSON download, as the service's own captions take them."""

    def __init__(self, text: bytes) -> None:
        self.finals = json.loads(text)["finals"]

    def subtitles(self, spelling: Spelling) -> str:
        """Spell them as the service does."""
        words = [
            SimpleNamespace(text=text, start_ms=start_ms, end_ms=end_ms)
            for final in self.finals
            for text, start_ms, end_ms, _ in final["words"]
        ]
        captioner = Captioner("en")
        cues = [*captioner.add(words), *captioner.end()]
        return spelling.head + "".join(map(spelling.spell, cues))


@pytest.mark.parametrize(("format_", "spelling"), [("srt", Srt), ("vtt", WebVtt)])
async def test_subtitles_are_those_that_the_service_itself_would_write(
    visitor: Visitor, service: Service, sample: Path, format_: str, spelling: Callable[[], Spelling]
) -> None:
    page = await connect(visitor, service)
    await caption_file(page, sample)
    words = _Words(await download(page, "json"))
    assert (await download(page, format_)).decode() == words.subtitles(spelling())


async def test_the_text_is_taken_home_plain_and_with_all_that_is_known_of_it(
    visitor: Visitor, service: Service, sample: Path
) -> None:
    page = await connect(visitor, service)
    await expect(page.locator("#download-txt")).to_be_disabled()
    shown = await caption_file(page, sample)
    assert share_right(sample_text(), shown) >= 0.9
    assert (await download(page, "txt")).decode().split() == shown.split()
    said = json.loads(await download(page, "json"))
    assert (said["language"], said["type"]) == ("en", "fast")
    assert " ".join(final["text"] for final in said["finals"]) == shown
    assert all(0 <= word[3] <= 1 for final in said["finals"] for word in final["words"])


async def test_words_tell_when_they_were_said_and_how_sure_they_are(
    visitor: Visitor, service: Service, sample: Path
) -> None:
    page = await connect(visitor, service)
    await caption_file(page, sample)
    words = page.locator("#transcript .word")
    shades = await words.evaluate_all("(words) => words.map((word) => word.className)")
    assert {shade.split()[1] for shade in shades} <= {"sure", "likely", "unsure", "doubtful"}
    title = await words.first.get_attribute("title")
    assert title
    assert title.startswith("0:0")
    assert title.endswith("% sure")
