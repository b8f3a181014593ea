"""When the console asks, in the browser's own time, which the tests move on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, Request, Route, expect

from service import Service, running
from tests.web.administering import CONSOLE, SCRIPTED, sign_in
from tests.web.visiting import BROKEN, FAILED, REFUSED, Visitor

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

FLEET = "**/api/v4/fleet"
# Its timers stand still; messages do not.
_NEXT_TASK = """
new Promise((resolve) => {
  const {port1, port2} = new MessageChannel();
  port1.onmessage = resolve;
  port2.postMessage(0);
})
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service that is scaled down."""
    async with running(SCRIPTED) as service:
        yield service


class Asked:
    """Counts how often a console asks after the fleet; `begun` and `answered` are of all that it asks for."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.times = self.begun = self.answered = 0
        page.on("request", self._on_request)
        page.on("requestfinished", self._on_answer)
        page.on("requestfailed", self._on_answer)

    def _on_request(self, request: Request) -> None:
        self.begun += 1
        self.times += request.url.endswith("/api/v4/fleet")

    def _on_answer(self, _: Request) -> None:
        self.answered += 1

    async def settle(self) -> None:
        """Wait until all that was asked is answered, and the page has taken it in."""
        quiet = 0
        async with asyncio.timeout(20):
            # What a timer asks for is seen here a moment later, and so is that it was answered.
            while quiet < 3:
                begun = self.begun
                await self._page.evaluate(_NEXT_TASK)
                quiet = quiet + 1 if begun == self.begun == self.answered else 0


async def enter(visitor: Visitor, service: Service) -> tuple[Page, Asked]:
    """Open a console whose time moves only when it is told to."""
    page = await visitor.open(service, CONSOLE)
    await page.clock.install()
    await page.clock.pause_at(2_000_000_000)
    asked = Asked(page)
    await sign_in(page, service.key)
    await expect(page.locator("#status")).not_to_be_empty()
    await asked.settle()
    asked.times = 0
    return page, asked


async def pass_time(page: Page, asked: Asked, *, steps: int) -> None:
    """Let as many seconds pass, one by one, with time for each answer."""
    for _ in range(steps):
        await page.clock.fast_forward(1000)
        await asked.settle()


async def turn(page: Page, state: str) -> None:
    """Turn to the page, or to another."""
    await page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", {get: () => state, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


async def test_a_page_that_is_looked_at_asks_every_two_seconds(visitor: Visitor, service: Service) -> None:
    page, asked = await enter(visitor, service)
    await pass_time(page, asked, steps=21)
    assert asked.times == 10


async def test_a_page_that_is_not_looked_at_asks_nothing_and_at_once_when_it_is_again(
    visitor: Visitor, service: Service
) -> None:
    page, asked = await enter(visitor, service)
    await turn(page, "hidden")
    await pass_time(page, asked, steps=60)
    assert asked.times == 0
    await turn(page, "visible")
    await asked.settle()
    assert asked.times == 1


async def test_an_answer_that_is_awaited_is_not_asked_for_again(visitor: Visitor, service: Service) -> None:
    page, asked = await enter(visitor, service)
    release = asyncio.Event()

    async def hold(route: Route) -> None:
        await release.wait()
        await route.continue_()

    await page.route(FLEET, hold)
    await page.clock.fast_forward(2000)
    for _ in range(5):
        await page.clock.fast_forward(3000)  # all in all less than after which an answer is given up
    await turn(page, "visible")
    assert asked.times == 1
    release.set()
    await asked.settle()
    assert asked.times == 2


@pytest.mark.parametrize("broken", ["unreachable", "failing"])
async def test_after_failures_it_asks_less_and_less_often(visitor: Visitor, service: Service, broken: str) -> None:
    visitor.tolerated |= {BROKEN, FAILED}
    page, asked = await enter(visitor, service)

    async def break_off(route: Route) -> None:
        if broken == "unreachable":
            await route.abort("connectionrefused")
        else:
            await route.fulfill(status=500, json={"detail": "The store could not be opened."})

    await page.route("**/api/v4/**", break_off)
    await pass_time(page, asked, steps=100)
    # After 2 s, then 4, 8, 16, 30, 30 more.
    assert asked.times == 6
    sentence = {"unreachable": "The service does not answer.", "failing": "The store could not be opened."}[broken]
    await expect(page.locator("#problem").get_by_role("alert")).to_have_text(sentence)
    await page.unroute("**/api/v4/**")
    await page.get_by_role("button", name="Try again now").click()
    await expect(page.locator("#problem")).to_be_hidden()


async def test_it_waits_as_long_as_the_service_asks_it_to(visitor: Visitor, service: Service) -> None:
    visitor.tolerated.add(REFUSED)
    page, asked = await enter(visitor, service)

    async def refuse(route: Route) -> None:
        await route.fulfill(status=429, headers={"Retry-After": "50"}, json={"detail": "Rate limit exceeded"})

    await page.route("**/api/v4/**", refuse)
    await pass_time(page, asked, steps=45)
    assert asked.times == 1
    await pass_time(page, asked, steps=15)
    assert asked.times == 2


async def test_what_fails_alone_says_so_where_it_stands_and_the_rest_goes_on(
    visitor: Visitor, service: Service
) -> None:
    visitor.tolerated.add(FAILED)
    page, asked = await enter(visitor, service)

    async def fail(route: Route) -> None:
        await route.fulfill(status=500, json={"detail": "The store could not be opened."})

    await page.route("**/api/v4/sessions/live", fail)
    await pass_time(page, asked, steps=4)
    panel = page.locator("#sessions")
    await expect(panel.get_by_role("alert")).to_have_text("The store could not be opened.")
    await expect(page.locator("#problem")).to_be_hidden()
    await expect(page.locator("#status-badge")).to_have_text("Scaled down")
    await page.unroute("**/api/v4/sessions/live")
    await panel.get_by_role("button", name="Try again").click()
    await expect(panel.locator(".panel-problem")).to_be_hidden()
