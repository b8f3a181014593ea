"""The console as administrators use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from scribewire.tones import say
from service import Service, running
from tests.web.administering import CONSOLE, SCRIPTED, enter, make_key, sign_in
from tests.web.conftest import Services, kill
from tests.web.visiting import BROKEN, FAILED, REFUSED, Visitor
from wire import Talk

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

V2 = "/v2/realtime"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service that is ready, with the scripted engine."""
    async with running(SCRIPTED) as service:
        await asyncio.to_thread(service.initialize)
        yield service


# --- who may come in -------------------------------------------------------------------------------------------------


async def test_the_key_that_opens_the_console_is_kept_in_memory_only(visitor: Visitor, service: Service) -> None:
    page = await enter(visitor, service)
    assert await page.locator("#key").input_value() == ""
    assert service.key not in await page.content()
    assert service.key not in page.url
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert service.key not in kept
    await page.reload()
    await expect(page.locator("#sign-in")).to_be_visible()
    await expect(page.locator("#console")).to_be_hidden()


@pytest.mark.parametrize("key", ["sw_wrong", "schlüssel", "ключ"])
async def test_a_key_that_there_is_not_is_refused_in_the_services_words(
    visitor: Visitor, service: Service, key: str
) -> None:
    visitor.tolerated.add(REFUSED)
    page = await visitor.open(service, CONSOLE)
    await sign_in(page, key)
    await expect(page.get_by_role("alert")).to_have_text("Not authenticated.")
    await expect(page.locator("#console")).to_be_hidden()


async def test_a_key_without_the_scope_is_told_which_it_lacks(visitor: Visitor, service: Service) -> None:
    visitor.tolerated.add(REFUSED)
    key = make_key(service, name="speaker", scopes=["realtime"])["key"]
    page = await visitor.open(service, CONSOLE)
    await sign_in(page, key)
    said = "Not enough permissions. The console needs a key with the scope admin."
    await expect(page.get_by_role("alert")).to_have_text(said)


async def test_a_key_that_is_forgotten_takes_all_that_it_showed_along(visitor: Visitor, service: Service) -> None:
    page = await enter(visitor, service)
    await expect(page.locator("#keys-table tbody tr").first).to_be_attached()
    await page.get_by_role("button", name="Forget the key").click()
    await expect(page.locator("#key")).to_be_focused()
    await expect(page.locator("tbody tr")).to_have_count(0)


# --- the service -----------------------------------------------------------------------------------------------------


async def test_a_service_that_is_scaled_down_is_initialized_and_its_worker_appears(
    visitor: Visitor, services: Services
) -> None:
    service = await services.start(SCRIPTED)
    page = await enter(visitor, service)
    await expect(page.locator("#status-badge")).to_have_text("Scaled down")
    await expect(page.locator("#status")).to_have_text("Realtime service is scaled down. Call /initialize to start it.")
    await expect(page.locator("#workers")).to_contain_text("No workers: the service is scaled down.")
    initialize = page.get_by_role("button", name="Initialize")
    await initialize.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("timer")).to_be_visible()
    await expect(page.locator("#status-badge")).to_have_text("Ready")
    await expect(page.locator("#initialize")).to_be_hidden()
    await expect(page.locator("#service-title")).to_be_focused()
    await expect(page.locator("#workers-table tbody tr")).to_have_count(1)
    row = page.locator("#workers-table tbody tr")
    await expect(row.locator("[data-label=Phase]")).to_have_text("Ready")
    await expect(row.locator("[data-label='Live / slots']")).to_have_text("0 / 4")
    await expect(row.locator("[data-label=Memory]")).to_contain_text("MiB")
    await expect(page.locator("#figure-workers")).to_have_text("1 of 1")


async def test_a_start_that_fails_is_told_in_the_services_words(visitor: Visitor, services: Services) -> None:
    visitor.tolerated.add(FAILED)
    broken = {"ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:broken"}}), "AUTOSCALING__START_WAIT_S": "3"}
    service = await services.start(broken)
    page = await enter(visitor, service)
    await page.get_by_role("button", name="Initialize").click()
    refusal = page.locator("#service .panel-refusal")
    await expect(refusal).to_have_text("Realtime service failed to start")
    await expect(page.get_by_role("timer")).to_be_hidden()


async def test_a_gateway_that_goes_is_noticed_and_one_that_comes_back_too(visitor: Visitor, services: Services) -> None:
    visitor.tolerated.add(BROKEN)
    service = await services.start(SCRIPTED)
    page = await enter(visitor, service)
    kill(service)
    problem = page.locator("#problem")
    await expect(problem.get_by_role("alert")).to_have_text("The service does not answer.")
    await expect(page.locator("#status")).not_to_be_empty()
    await services.start_again(service, SCRIPTED)
    await problem.get_by_role("button", name="Try again now").click()
    await expect(problem).to_be_hidden()


# --- workers ---------------------------------------------------------------------------------------------------------


async def test_a_worker_is_drained_only_after_a_yes_and_is_replaced(visitor: Visitor, services: Services) -> None:
    service = await services.start(SCRIPTED | {"AUTOSCALING__MIN_WORKERS": "1"})
    await asyncio.to_thread(service.initialize)
    page = await enter(visitor, service)
    row = page.locator("#workers-table tbody tr")
    name = await row.locator("[data-label=Worker]").inner_text()
    drain = page.get_by_role("button", name=f"Drain {name}")
    await drain.click()
    question = page.get_by_role("dialog", name=f"Drain {name}?")
    await expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(question).to_be_hidden()
    await expect(drain).to_be_focused()
    await expect(row.locator("[data-label=Phase]")).to_have_text("Ready")
    await drain.click()
    await question.get_by_role("button", name="Drain").click()
    await expect(page.locator("#workers-table")).not_to_contain_text(name)
    await expect(row.locator("[data-label=Phase]")).to_have_text(["Ready"])


async def test_the_focus_stays_on_a_row_while_its_figures_change(visitor: Visitor, service: Service) -> None:
    page = await enter(visitor, service)
    drain = page.get_by_role("button", name="Drain")
    await drain.focus()
    busy = page.locator("#workers-table [data-label=CPU]")
    await expect(busy).to_contain_text("%")
    await expect(drain).to_be_focused()


# --- sessions --------------------------------------------------------------------------------------------------------


async def test_a_live_session_is_shown_while_it_lasts_and_never_what_it_says(
    visitor: Visitor, service: Service
) -> None:
    page = await enter(visitor, service)
    await expect(page.locator("#sessions")).to_contain_text("No session is live.")
    talk = await Talk.open(service.socket_url + V2, make_key(service, name="stage left", scopes=["realtime"])["key"])
    await talk.start()
    await talk.send(say("alfa bravo charlie"), pace=None)
    await talk.until("text")
    row = page.locator("#sessions-table tbody tr")
    await expect(row.locator("[data-label=Key]")).to_have_text("stage left")
    await expect(row.locator("[data-label=Language]")).to_have_text("en")
    await expect(row.locator("[data-label=Type]")).to_have_text("fast")
    worker = await page.locator("#workers-table [data-label=Worker]").inner_text()
    await expect(row.locator("[data-label=Worker]")).to_have_text(worker)
    await expect(row.locator("[data-label=Audio]")).to_have_text("1 s")
    await expect(page.locator("#figure-live")).to_have_text("1")
    assert "alfa" not in await page.content()
    await talk.stop()
    await expect(row).to_have_count(0)
    await expect(page.locator("#sessions")).to_contain_text("No session is live.")


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_a_key_is_made_shown_once_works_and_is_revoked(visitor: Visitor, service: Service) -> None:
    page = await visitor.open(service, CONSOLE, permissions=["clipboard-read", "clipboard-write"])
    await sign_in(page, service.key)
    await page.get_by_label("What it is for").fill("main hall")
    await page.get_by_label("Most live sessions").fill("2")
    await page.get_by_role("button", name="Make the key").click()
    shown = page.get_by_role("dialog", name="The key «main hall» is made")
    secret = await shown.locator("#new-secret").inner_text()
    await shown.get_by_role("button", name="Copy").click()
    await expect(shown.get_by_role("status")).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == secret
    await page.keyboard.press("Escape")
    await expect(page.locator("#new-secret")).to_be_empty()
    assert secret not in await page.content()
    assert service.call("GET", "/api/v4/realtime/status", key=secret).status_code == 200
    row = page.locator("#keys-table tbody tr", has_text="main hall")
    await expect(row.locator("[data-label='Most sessions']")).to_have_text("2")
    await expect(row.locator("[data-label=Scopes]")).to_have_text("realtime")
    await expect(row.locator("[data-label=Ends]")).to_have_text("Never")
    await row.get_by_role("button", name="Revoke main hall").click()
    question = page.get_by_role("dialog", name="Revoke «main hall»?")
    await question.get_by_role("button", name="Cancel").click()
    assert service.call("GET", "/api/v4/realtime/status", key=secret).status_code == 200
    await row.get_by_role("button", name="Revoke main hall").click()
    await question.get_by_role("button", name="Revoke").click()
    await expect(row).to_have_count(0)
    assert service.call("GET", "/api/v4/realtime/status", key=secret).status_code == 401
    await page.get_by_label("Show revoked and expired keys").check()
    await expect(row.locator("[data-label=State]")).to_have_text("Revoked")


async def test_a_key_that_ends_is_made_to_the_minute(visitor: Visitor, service: Service) -> None:
    page = await enter(visitor, service)
    await page.get_by_label("What it is for").fill("one day")
    await page.get_by_label("Ends at").fill("2099-12-31T23:59")
    await page.get_by_label("admin").check()
    await page.get_by_role("button", name="Make the key").click()
    await page.get_by_role("button", name="Close").click()
    row = page.locator("#keys-table tbody tr", has_text="one day")
    await expect(row.locator("[data-label=Ends]")).to_contain_text("31 Dec 2099")
    await expect(row.locator("[data-label=Ends]")).to_contain_text("23:59")
    await expect(row.locator("[data-label=Scopes]")).to_have_text("admin, realtime")


async def test_a_wish_for_a_key_that_cannot_be_is_refused_in_the_services_words(
    visitor: Visitor, service: Service
) -> None:
    visitor.tolerated.add(REFUSED)
    page = await enter(visitor, service)
    await page.get_by_label("What it is for").fill("yesterday")
    await page.get_by_label("Ends at").fill("2001-01-01T00:00")
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.locator("#key-problem")).to_contain_text("must lie in the future")
    assert await page.get_by_label("What it is for").input_value() == "yesterday"
    await page.get_by_label("realtime").uncheck()
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.locator("#key-problem")).to_have_text("Choose at least one scope.")


async def test_a_console_whose_own_key_is_revoked_closes(visitor: Visitor, service: Service) -> None:
    visitor.tolerated.add(REFUSED)
    key = make_key(service, name="second admin", scopes=["admin"])["key"]
    page = await visitor.open(service, CONSOLE)
    await sign_in(page, key)
    row = page.locator("#keys-table tbody tr", has_text="second admin")
    await expect(row).to_contain_text("in use here")
    await row.get_by_role("button", name="Revoke second admin").click()
    question = page.get_by_role("dialog", name="Revoke «second admin»?")
    await expect(question).to_contain_text("this console will close")
    await question.get_by_role("button", name="Revoke").click()
    await expect(page.locator("#sign-in").get_by_role("alert")).to_have_text("Not authenticated.")
    await expect(page.locator("#console")).to_be_hidden()


# --- charts ----------------------------------------------------------------------------------------------------------


async def test_the_last_hour_is_drawn_said_in_words_and_given_as_a_table(visitor: Visitor, services: Services) -> None:
    service = await services.start(SCRIPTED)
    await asyncio.to_thread(service.initialize)
    talk = await Talk.open(service.socket_url + V2, service.key)
    await talk.start()
    page = await enter(visitor, service)
    workers = page.get_by_role("img", name="Ready workers, the last hour.")
    await expect(workers).to_have_accessible_name("Ready workers, the last hour. Workers: 1 now, lowest 0, highest 1.")
    sessions = page.get_by_role("img", name="Sessions, the last hour.")
    await expect(sessions).to_have_accessible_name(
        "Sessions, the last hour. Live: 1 now, lowest 0, highest 1. Waiting: 0 now, lowest 0, highest 0."
    )
    assert "H" in str(await sessions.locator(".line-1:not(.dots)").get_attribute("d"))
    await page.locator("#chart-sessions summary").click()
    table = page.get_by_role("table", name="Sessions: the highest of each minute")
    await expect(table.get_by_role("row").nth(1).get_by_role("cell").nth(1)).to_have_text("1")
    await talk.stop()
