"""The arithmetic of the charts, as the browser does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from service import Service, running
from tests.web.administering import CONSOLE, SCRIPTED
from tests.web.visiting import Visitor

pytestmark = [pytest.mark.web, pytest.mark.asyncio(loop_scope="session")]

STEP_MS = 10_000
HOUR_MS = 3_600_000
FRAME = {"endMs": HOUR_MS, "top": 4, "gapMs": 25_000, "stepped": False}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[Service]:
    """Give a service that is scaled down."""
    async with running(SCRIPTED) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def page(visitor: Visitor, service: Service) -> Page:
    """Give a page whose origin has the charts."""
    return await visitor.open(service, CONSOLE)


async def call(page: Page, name: str, *arguments: Any) -> Any:
    """Call a function of charts.js."""
    script = f"async (given) => (await import('/web/charts.js')).{name}(...given)"
    return await page.evaluate(script, list(arguments))


def points(*values: float | None, step_ms: int = STEP_MS) -> list[dict[str, float | None]]:
    """Give points that end now."""
    first_ms = HOUR_MS - (len(values) - 1) * step_ms
    return [{"atMs": first_ms + at * step_ms, "value": value} for at, value in enumerate(values)]


@pytest.mark.parametrize(
    ("value", "least", "top"),
    [
        (0, 1, 1),
        (1, 1, 1),
        (2, 1, 2),
        (3, 1, 4),
        (5, 1, 10),
        (10, 1, 10),
        (11, 1, 20),
        (0.05, 0.1, 0.1),
        (0.3, 0.1, 0.4),
    ],
)
async def test_an_axis_ends_at_a_round_figure_above_all(page: Page, value: float, least: float, top: float) -> None:
    assert await call(page, "topOf", value, least) == pytest.approx(top)


async def test_a_line_spans_the_hour_and_its_figures(page: Page) -> None:
    paths = await call(page, "pathsOf", points(0, 4, step_ms=HOUR_MS), FRAME | {"gapMs": HOUR_MS})
    assert paths == {"line": "M0.0,200.0L1000.0,0.0", "dots": ""}


async def test_a_count_holds_until_the_next(page: Page) -> None:
    paths = await call(page, "pathsOf", points(1, 2), FRAME | {"stepped": True})
    assert paths["line"] == "M997.2,150.0H1000.0V100.0"


async def test_a_line_is_broken_where_there_is_no_figure_and_one_alone_is_a_dot(page: Page) -> None:
    paths = await call(page, "pathsOf", points(1, 1, None, 2, None, 3, 3), FRAME)
    assert paths["line"].count("M") == paths["line"].count("L") == 2
    assert paths["dots"].count("M") == 1


async def test_a_line_is_broken_where_the_service_was_away(page: Page) -> None:
    paths = await call(page, "pathsOf", points(1, 1, step_ms=60_000), FRAME)
    assert (paths["line"], paths["dots"].count("M")) == ("", 2)


async def test_a_line_is_summed_up_in_words(page: Page) -> None:
    spelled = "async (values) => (await import('/web/charts.js')).summaryOf('Median', values, (value) => `${value} s`)"
    assert await page.evaluate(spelled, [0.1, None, 0.3]) == "Median: 0.3 s now, lowest 0.1 s, highest 0.3 s."
    assert await page.evaluate(spelled, [0.1, None]) == "Median: none now, lowest 0.1 s, highest 0.1 s."
    assert await page.evaluate(spelled, [None]) == "Median: no figures."


async def test_the_table_gives_the_highest_of_each_minute_the_newest_first(page: Page) -> None:
    script = """async (points) =>
      (await import('/web/charts.js')).minutesOf(points, [{label: 'Figure', pick: ({ value }) => value}])"""
    minutes = await page.evaluate(script, points(1, 3, None, None, step_ms=30_000))
    assert minutes == [
        {"atMs": 3_600_000, "values": [None]},
        {"atMs": 3_540_000, "values": [3]},
        {"atMs": 3_480_000, "values": [1]},
    ]
