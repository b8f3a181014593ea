"""The edge: what it does for a request, and that a socket passes without a wrapper."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from scribewire.gateway.edge import App, Edge
from scribewire.metrics import Metrics


async def _call(app: App, method: str = "GET", path: str = "/somewhere?token=sw_secret") -> httpx.Response:
    edge = Edge(app, metrics=Metrics())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://scribe.test") as http:
        return await http.request(method, path)


async def _answer(_scope: Any, _receive: Any, send: Any) -> None:
    headers = [(b"cache-control", b"max-age=60")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"page"})


async def _break_at_once(*_: Any) -> None:
    raise ZeroDivisionError


async def _break_in_mid_answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": False})
    raise ZeroDivisionError


async def test_a_socket_passes_without_a_wrapper() -> None:
    given: list[Any] = []

    async def keep(*arguments: Any) -> None:
        given.extend(arguments)

    async def receive() -> dict[str, Any]:
        return {}

    async def send(_: Any) -> None:
        pass

    scope = {"type": "websocket"}
    await Edge(keep, metrics=Metrics())(scope, receive, send)
    assert (given[0] is scope, given[1] is receive, given[2] is send) == (True, True, True)


async def test_a_header_that_a_route_sets_stays() -> None:
    headers = (await _call(_answer)).headers
    assert headers.get_list("cache-control") == ["max-age=60"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_what_breaks_before_it_answers_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    answer = await _call(_break_at_once)
    assert (answer.status_code, answer.content) == (500, b'{"detail":"Something went wrong inside the service"}')
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [True]


async def test_what_breaks_in_mid_answer_is_not_answered_twice() -> None:
    assert (await _call(_break_in_mid_answer)).content == b"half"


async def test_a_request_is_one_line_of_its_template_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "scribewire.gateway.edge")
    await _call(_answer, method="BREW")
    (record,) = caplog.records
    said = vars(record)
    assert (said["route"], said["method"], said["status"]) == ("unmatched", "other", 200)
    assert "sw_secret" not in str(said)
