"""Somebody who uses the captions page, and what a browser overhears of its sockets."""

from __future__ import annotations

import json
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from playwright.async_api import Page, WebSocket, expect

from scribewire.core.audio import SAMPLE_RATE_HZ
from service import Service
from tests.web.visiting import Theme, Visitor

Pace = Literal["fast", "realtime"]
# How loud speech is at its onset, of 32,768; what a microphone hears before it is far below.
_ONSET_LEVEL = 600
# A recogniser may be as slow as speech on a machine with much else to do.
SESSION_WAIT_MS = 90_000


async def connect(
    visitor: Visitor,
    service: Service,
    *,
    key: str = "",
    theme: Theme = "light",
    width_px: int = 1280,
) -> Page:
    """Open the captions page with a key, the first one unless another is given."""
    page = await visitor.open(service, "/", theme=theme, width_px=width_px)
    await page.get_by_label("Key", exact=True).fill(key or service.key)
    await page.keyboard.press("Enter")
    await expect(page.locator("#start")).to_be_visible()
    return page


async def choose_file(page: Page, file: Path, pace: Pace = "fast") -> None:
    """Choose a file, and how fast it is sent."""
    await page.get_by_label("File", exact=True).check()
    await page.locator(f"#pace-{pace}").check()
    await page.locator("#file").set_input_files(file)


async def until_state(page: Page, state: str) -> None:
    """Wait until the session stands so."""
    await expect(page.locator("#session-state")).to_have_attribute("data-state", state, timeout=SESSION_WAIT_MS)


async def caption_file(page: Page, file: Path, pace: Pace = "fast") -> str:
    """Have a whole file captioned; give its text."""
    await choose_file(page, file, pace)
    await page.get_by_role("button", name="Start", exact=True).click()
    await until_state(page, "stopped")
    return await text_of(page)


async def text_of(page: Page) -> str:
    """Give the finals that are shown, without times."""
    words: list[str] = await page.locator("#transcript").evaluate(
        "(log) => [...log.querySelectorAll('p')].map((line) => {"
        " const copy = line.cloneNode(true);"
        " copy.querySelectorAll('time, .speaker').forEach((other) => other.remove());"
        " return copy.textContent; })"
    )
    return " ".join(words)


async def download(page: Page, format_: str) -> bytes:
    """Press a button and give the file that it makes."""
    async with page.expect_download() as waiting:
        await page.locator(f"#download-{format_}").click()
    made = await waiting.value
    assert made.suggested_filename.endswith(f".{format_}")
    return (await made.path()).read_bytes()


async def share(page: Page) -> str:
    """Share; give the part of the link that follows the page's address."""
    await page.get_by_role("button", name="Share", exact=True).click()
    await expect(page.locator("#share-link")).not_to_be_empty()
    link = await page.locator("#share-link").input_value()
    return link[link.index("/watch#") :]


def write_wav(file: Path, pcm: bytes, rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    """Write s16le mono as a WAV file."""
    with wave.open(str(file), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate_hz)
        wav.writeframes(pcm)
    return file


@dataclass
class Overheard:
    """What the page's sessions sent and were told, each with its monotonic time."""

    sent: list[tuple[float, bytes]] = field(default_factory=list)
    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    sockets: list[WebSocket] = field(default_factory=list)

    @classmethod
    def on(cls, page: Page) -> Overheard:
        """Listen from now on."""
        overheard = cls()
        page.on("websocket", overheard._open)
        return overheard

    def _open(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        socket.on("framesent", self._on_sent)
        socket.on("framereceived", self._on_told)

    def _on_sent(self, payload: bytes | str) -> None:
        if isinstance(payload, bytes):
            self.sent.append((time.monotonic(), payload))

    def _on_told(self, payload: bytes | str) -> None:
        self.told.append((time.monotonic(), json.loads(payload)))

    @property
    def partials(self) -> list[tuple[float, str]]:
        """Give the partials with their times."""
        return [(at_s, message["text"]) for at_s, message in self.told if message.get("is_final") is False]

    def first_partial_s(self) -> float:
        """Give the seconds from the sending of the first audio that is loud to the first partial."""
        onset_s = next(
            at_s for at_s, pcm in self.sent if np.abs(np.frombuffer(pcm, "<i2")).max(initial=0) > _ONSET_LEVEL
        )
        return self.partials[0][0] - onset_s
