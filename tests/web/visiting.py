"""Pages of a real service in a real browser; whatever the browser complains of fails the test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, WebSocket, async_playwright

from service import Service

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
# What a browser writes to its console of calls that were refused or broke off; tests that mean them to, say so.
REFUSED = "Failed to load resource: the server responded with a status of 4"
FAILED = "Failed to load resource: the server responded with a status of 5"
BROKEN = "Failed to load resource: net::ERR_"
UNREACHED = "WebSocket connection to "
_FLAGS = (
    "--no-sandbox",  # it has none to offer where tests run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
# Told through the console, so that all complaints come the same way.
_WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI} at ${event.sourceFile}`));
"""


@asynccontextmanager
async def browsing(microphone: Path | None = None, *, shown_tab: str = "") -> AsyncIterator[Browser]:
    """Run the machine's Chromium.

    Its microphone plays a WAV file, once, from when it is opened; a page that asks for a tab gets that of this title.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    flags = list(_FLAGS)
    if microphone is not None:
        flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        flags += [f"--use-file-for-fake-audio-capture={microphone}%noloop"]
    if shown_tab:
        flags += [f"--auto-select-tab-capture-source-by-title={shown_tab}"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium,
            args=flags,
            ignore_default_args=["--mute-audio"],  # a tab that is muted gives no sound to others either
        )
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """Somebody with a browser. `complaints` is what the browser found wrong so far, but for what is `tolerated`."""

    def __init__(self, browser: Browser) -> None:
        self.complaints: list[str] = []
        self.tolerated: set[str] = set()
        self._browser = browser
        self._pages: list[Page] = []

    async def open(
        self,
        service: Service,
        path: str,
        *,
        theme: Theme = "light",
        width_px: int = 1280,
        height_px: int = 900,
        permissions: Collection[str] = (),
    ) -> Page:
        """Open a page as somebody new: nothing is stored of any page before."""
        context = await self._browser.new_context(
            color_scheme=theme,
            reduced_motion="reduce",  # a screenshot in the midst of a fade is no screenshot
            viewport={"width": width_px, "height": height_px},
            permissions=list(permissions),
        )
        context.set_default_timeout(30_000)
        await context.add_init_script(_WATCH)
        page = await context.new_page()
        self._pages.append(page)
        self._listen(page, urlsplit(service.url).netloc)
        await page.goto(service.url + path)
        return page

    def _listen(self, page: Page, host: str) -> None:
        def complain(text: str) -> None:
            if not text.startswith(tuple(self.tolerated)):
                self.complaints.append(text)

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                complain(message.text)

        def on_request(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in ("data", "blob") and parts.netloc != host:
                complain(f"another origin was asked: {request.url}")

        def on_socket(socket: WebSocket) -> None:
            if urlsplit(socket.url).netloc != host:
                complain(f"another origin was asked: {socket.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: complain(f"uncaught: {error}"))
        page.on("request", on_request)
        page.on("websocket", on_socket)

    async def leave(self) -> None:
        """Close every page."""
        for page in self._pages:
            await page.context.close()


async def take_screenshot(page: Page, name: str) -> None:
    """Keep a picture of the whole page to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


async def find_barriers(page: Page) -> list[str]:
    """Give what axe finds in the way of people, a line each."""
    script = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    await page.evaluate(script)
    found: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert found["passes"], "axe looked at nothing"
    return [
        f"{violation['id']}: {violation['help']}: {node['html']}: {node.get('failureSummary', '')}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


async def overflow_px(page: Page) -> int:
    """Give by how much the page is wider than the window."""
    width: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width
