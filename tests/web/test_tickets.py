"""Tickets as a browser uses and misuses them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from scribewire.tones import say
from service import Service, running
from tests.origin import reply, serving
from tests.web.administering import SCRIPTED
from tests.web.captioning import Overheard, caption_file, connect, download, write_wav
from tests.web.visiting import Visitor

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

REFUSED = {"error": "Not authenticated", "code": "not_authenticated"}
# Opens a socket, says start, and tells all that it was told, until it was told so much or closed.
_TALK = """
({ host, ticket }) => new Promise((resolve) => {
  const socket = new WebSocket(`ws://${host}/v2/realtime?token=${ticket}`);
  const told = [];
  socket.onopen = () => socket.send('{"action":"start"}');
  socket.onmessage = ({ data }) => {
    told.push(JSON.parse(data));
    if (told.at(-1).state === "listening") socket.send('{"action":"stop"}');
  };
  socket.onclose = ({ code }) => resolve({ told, code });
})
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service that is ready, with the scripted engine."""
    async with running(SCRIPTED) as service:
        await asyncio.to_thread(service.initialize)
        yield service


async def take_ticket(page: Page, service: Service) -> str:
    """Have a page ask for a ticket."""
    script = """async (key) => {
      const { Api } = await import("/web/api.js");
      return (await new Api(key).call("POST", "/api/v4/realtime/tickets")).ticket;
    }"""
    ticket: str = await page.evaluate(script, service.key)
    return ticket


async def talk(page: Page, service: Service, ticket: str) -> dict[str, Any]:
    """Have a page hold a session with a ticket."""
    host = service.url.removeprefix("http://")
    heard: dict[str, Any] = await page.evaluate(_TALK, {"host": host, "ticket": ticket})
    return heard


async def test_a_ticket_opens_one_session_and_no_other(visitor: Visitor, service: Service) -> None:
    page = await visitor.open(service, "/")
    ticket = await take_ticket(page, service)
    first = await talk(page, service, ticket)
    assert [message["state"] for message in first["told"]] == ["listening", "stopped"]
    assert first["code"] == 1000
    assert await talk(page, service, ticket) == {"told": [REFUSED], "code": 1008}


async def test_a_ticket_of_one_origin_is_nothing_to_another(
    visitor: Visitor, service: Service, browser: Browser
) -> None:
    page = await visitor.open(service, "/")
    ticket = await take_ticket(page, service)
    async with serving() as elsewhere:
        elsewhere.answers["/"] = reply(b"<title>Elsewhere</title>", type_="text/html")
        stranger = await browser.new_page()
        await stranger.goto(elsewhere.url)
        assert await talk(stranger, service, ticket) == {"told": [REFUSED], "code": 1008}
        await stranger.close()
    # And it was not spent by that.
    assert (await talk(page, service, ticket))["code"] == 1000


async def test_a_ticket_that_is_over_is_nothing(visitor: Visitor, service: Service) -> None:
    page = await visitor.open(service, "/")
    ticket = await take_ticket(page, service)
    with sqlite3.connect(next(service.data_dir.glob("*.db"))) as database:
        assert database.execute("UPDATE tickets SET expires_at = '2001-01-01 00:00:00.000000'").rowcount == 1
    assert await talk(page, service, ticket) == {"told": [REFUSED], "code": 1008}


async def test_the_captions_page_takes_a_ticket_for_each_session_and_shows_its_key_to_no_socket(
    visitor: Visitor, service: Service, tmp_path: Path
) -> None:
    file = write_wav(tmp_path / "words.wav", say("alfa"))
    page = await connect(visitor, service)
    overheard = Overheard.on(page)
    await caption_file(page, file)
    await download(page, "txt")
    await caption_file(page, file)
    tokens = [parse_qs(urlsplit(socket.url).query)["token"][0] for socket in overheard.sockets]
    assert len(set(tokens)) == len(tokens) == 2
    assert all(token.startswith("swt_") for token in tokens)
