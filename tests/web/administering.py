"""Somebody who administers a service by its console."""

from __future__ import annotations

import json

from playwright.async_api import Page, expect

from service import Service
from tests.web.visiting import Visitor

CONSOLE = "/console"
# Words at no cost; a worker that starts at once.
SCRIPTED = {
    "ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:words"}}),
    "GATE__DETECTOR": "energy",
    "WORKER__SLOTS": "4",
    "AUTOSCALING__MAX_WORKERS": "2",
}


async def sign_in(page: Page, key: str) -> None:
    """Type a key and press Enter."""
    await page.get_by_label("Key", exact=True).fill(key)
    await page.keyboard.press("Enter")


async def enter(visitor: Visitor, service: Service) -> Page:
    """Open the console with the first key."""
    page = await visitor.open(service, CONSOLE)
    await sign_in(page, service.key)
    await expect(page.locator("#service .panel-body")).to_be_visible()
    return page


def make_key(service: Service, **wish: object) -> dict[str, str]:
    """Make a key by REST."""
    response = service.call("POST", "/api/v4/keys", json=wish)
    response.raise_for_status()
    made: dict[str, str] = response.json()
    return made
