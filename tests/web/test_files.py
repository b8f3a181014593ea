"""Files on the captions page, in words that are a function of each sample: one lost or altered would show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import expect

from scribewire.tones import say
from service import Service, running
from tests.e2e.resampling import at_rate
from tests.web.administering import SCRIPTED
from tests.web.captioning import caption_file, choose_file, connect, text_of, until_state, write_wav
from tests.web.visiting import Visitor

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

WORDS = "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service that is ready, with the scripted engine."""
    async with running(SCRIPTED) as service:
        await asyncio.to_thread(service.initialize)
        yield service


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
async def test_a_file_of_any_rate_is_heard_to_the_word(
    visitor: Visitor, service: Service, tmp_path: Path, rate_hz: int
) -> None:
    file = write_wav(tmp_path / "words.wav", at_rate(say(WORDS), rate_hz), rate_hz)
    page = await connect(visitor, service)
    assert await caption_file(page, file) == WORDS


async def test_a_file_in_stereo_is_heard_as_both_its_sides(visitor: Visitor, service: Service, tmp_path: Path) -> None:
    left = np.frombuffer(say("alfa bravo"), "<i2")
    both = np.stack([left, np.zeros_like(left)], axis=1)
    file = tmp_path / "stereo.wav"
    mono = write_wav(tmp_path / "mono.wav", both.tobytes())
    header = bytearray(mono.read_bytes()[:44])
    header[22:24] = (2).to_bytes(2, "little")  # channels
    header[28:32] = (16_000 * 4).to_bytes(4, "little")  # bytes a second
    header[32:34] = (4).to_bytes(2, "little")  # bytes a frame
    file.write_bytes(bytes(header) + both.tobytes())
    page = await connect(visitor, service)
    assert await caption_file(page, file) == "alfa bravo"


async def test_a_file_is_sent_as_it_is_spoken_where_that_is_chosen(
    visitor: Visitor, service: Service, tmp_path: Path
) -> None:
    page = await connect(visitor, service)
    await choose_file(page, write_wav(tmp_path / "words.wav", say(WORDS)), "realtime")
    await page.get_by_role("button", name="Start", exact=True).click()
    progress = page.get_by_role("progressbar")
    await expect(progress).to_be_visible()
    await expect(page.locator("#partial")).not_to_be_empty()
    assert 0 < await progress.evaluate("(element) => element.value") < 1
    await until_state(page, "stopped")
    assert await text_of(page) == WORDS


async def test_a_file_that_is_stopped_halfway_gives_what_was_heard(
    visitor: Visitor, service: Service, tmp_path: Path
) -> None:
    page = await connect(visitor, service)
    await choose_file(page, write_wav(tmp_path / "words.wav", say(f"{WORDS} " * 4)), "realtime")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.locator("#partial")).not_to_be_empty()
    await page.get_by_role("button", name="Stop", exact=True).click()
    await until_state(page, "stopped")
    heard = await text_of(page)
    assert heard
    assert f"{WORDS} {WORDS}".startswith(heard)


async def test_a_file_that_is_no_sound_is_refused_in_a_sentence_and_another_may_follow(
    visitor: Visitor, service: Service, tmp_path: Path
) -> None:
    nothing = tmp_path / "letter.wav"
    nothing.write_bytes(b"Dear reader, this is no sound." * 100)
    page = await connect(visitor, service)
    await choose_file(page, nothing)
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.locator("#problem")).to_have_text("The browser could not read letter.wav as sound.")
    assert await caption_file(page, write_wav(tmp_path / "words.wav", say("zulu"))) == "zulu"
    await expect(page.locator("#problem")).to_be_empty()


async def test_text_that_was_not_taken_home_is_not_thrown_away_unasked(
    visitor: Visitor, service: Service, tmp_path: Path
) -> None:
    file = write_wav(tmp_path / "words.wav", say("alfa"))
    page = await connect(visitor, service)
    await caption_file(page, file)
    await page.get_by_role("button", name="Start", exact=True).click()
    question = page.get_by_role("dialog", name="Begin anew?")
    await question.get_by_role("button", name="Keep it").click()
    assert await text_of(page) == "alfa"
    await page.get_by_role("button", name="Start", exact=True).click()
    await question.get_by_role("button", name="Begin anew").click()
    await until_state(page, "stopped")
    assert await text_of(page) == "alfa"
