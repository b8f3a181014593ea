"""Routes: what no route answers, what breaks, what browsers may, and that every route says what it needs."""

from __future__ import annotations

import shutil
from typing import NoReturn

import pytest
from fastapi.routing import APIRoute

from scribewire.core.keys import Scope
from scribewire.gateway import rest
from scribewire.gateway.fleet import Fleet
from scribewire.gateway.pages import PAGES
from scribewire.gateway.rest import create_app
from scribewire.gateway.routes import ANY_KEY, Routes
from tests.gateway.conftest import Rigger
from tests.gateway.rig import BASE, Rig

ROWS = [row for table in rest.TABLES for row in table.rows]

# --- what no route answers -------------------------------------------------------------------------------------------


async def test_an_unknown_path_is_told_in_the_same_shape(rig: Rig) -> None:
    for path in ("/nowhere", "/web/../pages.py", "/api/v4/keys/", "/docs", "/api/v5/realtime/status"):
        answer = await rig.call("GET", path)
        assert (answer.status_code, answer.content) == (404, b'{"detail":"Not found"}')


async def test_a_method_that_a_path_has_not_is_told_with_those_that_it_has(rig: Rig) -> None:
    answer = await rig.call("PATCH", "/api/v4/keys")
    assert (answer.status_code, answer.content) == (405, b'{"detail":"Method Not Allowed"}')
    assert answer.headers["allow"] == "GET, HEAD, POST"


async def test_head_is_answered_where_get_is(rig: Rig) -> None:
    assert (await rig.call("HEAD", "/healthz", who=None)).status_code == 200
    assert (await rig.call("HEAD", f"{BASE}/status", who=None)).status_code == 401


async def test_every_answer_carries_the_standing_headers(rig: Rig) -> None:
    for path in ("/healthz", "/nowhere", f"{BASE}/status"):
        headers = (await rig.call("GET", path, who=None)).headers
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_what_breaks_is_told_in_one_sentence_and_no_trace(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_(_: object) -> NoReturn:
        raise ZeroDivisionError("internal detail")

    monkeypatch.setattr(Fleet, "view", break_)
    answer = await rig.call("GET", "/api/v4/fleet")
    assert (answer.status_code, answer.content) == (500, b'{"detail":"Something went wrong inside the service"}')


async def test_a_store_that_fails_is_told_without_its_address(rig: Rig) -> None:
    await rig.services.store.close()
    shutil.rmtree(rig.services.settings.data_dir)
    answer = await rig.call("GET", "/api/v4/keys")
    assert (answer.status_code, answer.content) == (500, b'{"detail":"The store does not answer."}')


# --- browsers --------------------------------------------------------------------------------------------------------

PREFLIGHT = {
    "origin": "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "x-zoom-s2t-key",
}


async def test_an_origin_that_is_set_may_call(rigger: Rigger) -> None:
    rig = await rigger(server={"cors_origins": ("https://app.example",)})
    answer = await rig.call("OPTIONS", f"{BASE}/initialize", who=None, headers=PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    refused = await rig.call("GET", f"{BASE}/status", who=None, headers={"origin": "https://app.example"})
    assert refused.headers["access-control-allow-origin"] == "https://app.example"


async def test_other_origins_may_not_and_none_by_default(rigger: Rigger, rig: Rig) -> None:
    picky = await rigger(server={"cors_origins": ("https://other.example",)})
    for one in (picky, rig):
        answer = await one.call("GET", f"{BASE}/status", headers={"origin": "https://app.example"})
        assert "access-control-allow-origin" not in answer.headers


# --- what is declared ------------------------------------------------------------------------------------------------


async def test_a_route_that_does_not_say_what_it_needs_does_not_import() -> None:
    with pytest.raises(TypeError):
        Routes()("GET", "/open", tag="x")  # type: ignore[call-arg] # the mistake
    with pytest.raises(TypeError, match="/open"):
        Routes()("GET", "/open", needs=None, tag="x")  # type: ignore[arg-type] # the mistake


async def test_the_application_has_no_route_beyond_the_table(rig: Rig) -> None:
    declared = {path for row in ROWS for path in row.paths}
    paths = {route.path for route in create_app(rig.services).routes if isinstance(route, APIRoute)}
    assert {path for path in paths if path not in PAGES and not path.startswith("/web/")} == declared


async def test_openapi_documents_each_route_once_with_its_refusals_and_its_credential(rig: Rig) -> None:
    document = (await rig.call("GET", "/openapi.json", who=None)).json()
    for row in ROWS:
        operation = document["paths"][row.paths[0]][row.method.lower()]
        needs_key = isinstance(row.needs, Scope) or row.needs is ANY_KEY
        assert operation["operationId"] == row.endpoint.__name__
        assert operation.get("security", []) == ([{"Key": []}, {"Bearer": []}] if needs_key else [])
        assert {"401", "429"} <= operation["responses"].keys() or not needs_key
        assert ("403" in operation["responses"]) == isinstance(row.needs, Scope)
    assert len(document["paths"]) == len({row.paths[0] for row in ROWS})
