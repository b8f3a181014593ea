"""The REST side against real parts: every state and refusal of the contract byte for byte, and its OpenAPI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from scribewire.core.events import Report
from scribewire.core.keys import Scope, make_secret
from scribewire.errors import InitializeFailed
from scribewire.gateway.store import SessionReport
from tests.gateway.conftest import Rigger
from tests.gateway.doubles import NeverGetsReady, eventually
from tests.gateway.rig import BASE, Rig

ENDPOINT = "ws://scribe.test/v2/realtime"


def readiness(status: str, message: str, *, ready: bool, endpoint: str = ENDPOINT) -> bytes:
    row = {"status": status, "message": message, "endpoint": endpoint, "ready": ready}
    return json.dumps(row, separators=(",", ":")).encode()


READY_NOW = readiness("ready", "Realtime service is ready for connections", ready=True)
READY = readiness("ready", "Realtime service is ready", ready=True)
STARTING = readiness("starting", "Realtime service is starting up", ready=False)
SCALED_DOWN = readiness("scaled_down", "Realtime service is scaled down. Call /initialize to start it.", ready=False)


# --- the states of the contract --------------------------------------------------------------------------------------


async def test_scaled_down_then_initialized_then_ready(rig: Rig) -> None:
    assert (await rig.call("GET", f"{BASE}/status", who="client")).content == SCALED_DOWN
    answer = await rig.call("POST", f"{BASE}/initialize")
    assert (answer.status_code, answer.content) == (200, READY_NOW)
    answer = await rig.call("GET", f"{BASE}/status", who="client")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, READY, "application/json")
    assert len(rig.scaler.workers) == 1


async def test_the_alias_answers_the_same(rig: Rig) -> None:
    assert (await rig.call("GET", "/v4/realtime/status")).content == SCALED_DOWN
    assert (await rig.call("POST", "/v4/realtime/initialize")).content == READY_NOW


async def test_a_look_never_scales(rig: Rig) -> None:
    for _ in range(3):
        await rig.call("GET", f"{BASE}/status")
    assert rig.scaler.workers == {}


async def test_starting_is_said_while_nobody_is_ready(rigger: Rigger) -> None:
    rig = await rigger([NeverGetsReady])
    waiting = asyncio.create_task(rig.call("POST", f"{BASE}/initialize"))
    await eventually(lambda: rig.scaler.workers)
    assert (await rig.call("GET", f"{BASE}/status")).content == STARTING
    rig.scaler.fail("w1", 3)
    answer = await waiting
    assert (answer.status_code, answer.content) == (503, b'{"detail":"Realtime service failed to start"}')


async def test_a_start_that_takes_too_long_has_failed(rigger: Rigger) -> None:
    rig = await rigger([NeverGetsReady], autoscaling={"start_wait_s": 0.2})
    answer = await rig.call("POST", f"{BASE}/initialize")
    assert (answer.status_code, answer.content) == (503, b'{"detail":"Realtime service failed to start"}')


async def test_a_scaler_that_fails_is_told_with_its_details(rig: Rig) -> None:
    rig.scaler.refuses = InitializeFailed("the quota is used up")
    answer = await rig.call("POST", f"{BASE}/initialize")
    said = b'{"detail":"Failed to initialize realtime service: the quota is used up"}'
    assert (answer.status_code, answer.content) == (500, said)


async def test_concurrent_callers_share_one_start(rig: Rig) -> None:
    answers = await asyncio.gather(*(rig.call("POST", f"{BASE}/initialize") for _ in range(5)))
    assert [answer.content for answer in answers] == [READY_NOW] * 5
    assert len(rig.scaler.workers) == 1


async def test_without_autoscaling_initialize_answers_at_once_and_touches_nothing(rigger: Rigger) -> None:
    rig = await rigger([NeverGetsReady], autoscaling={"enabled": False})
    await eventually(lambda: rig.scaler.workers)
    scaled = list(rig.scaler.scaled)
    assert (await rig.call("POST", f"{BASE}/initialize")).content == READY_NOW
    assert rig.scaler.scaled == scaled
    assert (await rig.call("GET", f"{BASE}/status")).content == STARTING


async def test_any_body_and_none_is_taken_by_initialize(rig: Rig) -> None:
    for body in (b"", b"{}", b'{"a":1}', b"[1]", b"null", b'{"broken', b"\xff\x00"):
        headers = {"content-type": "application/json"}
        answer = await rig.call("POST", f"{BASE}/initialize", content=body, headers=headers)
        assert (body, answer.content) == (body, READY_NOW)


# --- the refusals of the contract ------------------------------------------------------------------------------------


async def test_no_credential_and_any_bad_one_are_told_alike(rig: Rig) -> None:
    (key,) = [key for key in await rig.services.store.list_keys() if key.name == "other"]
    await rig.call("DELETE", f"/api/v4/keys/{key.id}")
    expired = await rig.services.store.create_key("old", scopes=frozenset(Scope), expires_at=datetime.now(UTC))
    unknown = make_secret(bytes(24)).reveal()
    typo = rig.secrets["admin"][:-1] + "!"
    for bad in (None, "", unknown, typo, rig.secrets["other"], expired[1].reveal()):
        headers = {"x-zoom-s2t-key": bad} if bad is not None else {}
        answer = await rig.call("GET", f"{BASE}/status", who=None, headers=headers)
        assert (answer.status_code, answer.content) == (401, b'{"detail":"Not authenticated"}')
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_without_the_scope_is_told_so(rig: Rig) -> None:
    for method, path in (("POST", f"{BASE}/initialize"), ("GET", "/api/v4/keys"), ("GET", "/api/v4/fleet")):
        answer = await rig.call(method, path, who="client")
        assert (answer.status_code, answer.content) == (403, b'{"detail":"Not enough permissions"}')
    assert rig.scaler.workers == {}


async def test_a_caller_without_a_key_learns_nothing_of_what_a_body_should_hold(rig: Rig) -> None:
    answer = await rig.call("POST", "/api/v4/keys", who=None, content=b"{broken")
    assert answer.status_code == 401


async def test_the_other_headers_are_as_good(rig: Rig) -> None:
    names = {"x-api-key": "{}", "api-key": "{}", "Authorization": "Bearer {}", "authorization": "bearer {}"}
    for name, spelling in names.items():
        headers = {name: spelling.format(rig.secrets["client"])}
        answer = await rig.call("GET", f"{BASE}/status", who=None, headers=headers)
        assert (name, answer.status_code) == (name, 200)


async def test_a_credential_in_the_query_is_none_here(rig: Rig) -> None:
    answer = await rig.call("GET", f"{BASE}/status?token={rig.secrets['admin']}", who=None)
    assert answer.status_code == 401


async def test_too_many_calls_of_a_key_are_held_back_and_others_are_not(rigger: Rigger) -> None:
    rig = await rigger(limits={"calls_per_minute_per_key": 2})
    assert [(await rig.call("GET", f"{BASE}/status")).status_code for _ in range(3)] == [200, 200, 429]
    answer = await rig.call("GET", f"{BASE}/status")
    assert (answer.content, answer.headers["retry-after"]) == (b'{"detail":"Rate limit exceeded"}', "30")
    assert (await rig.call("GET", f"{BASE}/status", who="client")).status_code == 200


async def test_too_many_calls_of_an_address_are_held_back_with_a_key_or_without(rigger: Rigger) -> None:
    rig = await rigger(limits={"calls_per_minute_per_address": 2})
    whose = (None, "admin", "client")
    assert [(await rig.call("GET", f"{BASE}/status", who=who)).status_code for who in whose] == [401, 200, 429]
    assert (await rig.call("GET", "/healthz", who=None)).status_code == 200
    elsewhere = {"x-forwarded-for": "203.0.113.9"}
    assert (await rig.call("GET", f"{BASE}/status", headers=elsewhere)).status_code == 200


# --- the endpoint ----------------------------------------------------------------------------------------------------


async def test_the_public_url_is_told_whatever_the_request_says(rigger: Rigger) -> None:
    rig = await rigger(server={"public_url": "wss://realtime.example.org/"})
    answer = await rig.call("GET", f"{BASE}/status", headers={"x-forwarded-host": "elsewhere"})
    assert answer.json()["endpoint"] == "wss://realtime.example.org/v2/realtime"


async def test_a_trusted_proxy_says_by_which_url_it_was_called(rig: Rig) -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "realtime.example.org"}
    answer = await rig.call("GET", f"{BASE}/status", headers=headers)
    assert answer.json()["endpoint"] == "wss://realtime.example.org/v2/realtime"


async def test_others_do_not(rigger: Rigger) -> None:
    rig = await rigger(server={"trusted_proxies": ("10.0.0.0/8",)})
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "realtime.example.org"}
    assert (await rig.call("GET", f"{BASE}/status", headers=headers)).json()["endpoint"] == ENDPOINT


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_a_key_lives_from_its_making_to_its_revocation(rig: Rig) -> None:
    wish = {
        "name": " dictation ",
        "scopes": ["realtime"],
        "expires_at": "2099-01-02T03:04:05+02:00",
        "max_sessions": 3,
    }
    answer = await rig.call("POST", "/api/v4/keys", json=wish)
    made = answer.json()
    assert answer.status_code == 201
    secret = made.pop("key")
    assert made == {
        "id": made["id"],
        "name": "dictation",
        "prefix": secret[:8],
        "scopes": ["realtime"],
        "created_at": made["created_at"],
        "expires_at": "2099-01-02T03:04:05+02:00",
        "revoked_at": None,
        "max_sessions": 3,
    }
    (listed,) = [key for key in (await rig.call("GET", "/api/v4/keys")).json() if key["id"] == made["id"]]
    assert listed == made | {"expires_at": "2099-01-02T01:04:05Z"}
    headers = {"x-zoom-s2t-key": secret}
    assert (await rig.call("GET", f"{BASE}/status", who=None, headers=headers)).status_code == 200
    answer = await rig.call("DELETE", f"/api/v4/keys/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await rig.call("GET", f"{BASE}/status", who=None, headers=headers)).status_code == 401
    assert (await rig.call("DELETE", f"/api/v4/keys/{made['id']}")).status_code == 204


async def test_no_list_shows_a_secret(rig: Rig) -> None:
    text = (await rig.call("GET", "/api/v4/keys")).text
    assert not any(secret in text for secret in rig.secrets.values())


async def test_a_key_that_is_not_there_cannot_be_revoked(rig: Rig) -> None:
    answer = await rig.call("DELETE", "/api/v4/keys/0123456789abcdef")
    assert (answer.status_code, answer.content) == (404, b'{"detail":"Not found"}')


async def test_an_expiry_without_a_zone_is_utc(rig: Rig) -> None:
    wish = {"name": "a key", "scopes": ["admin"], "expires_at": "2099-01-01"}
    made = (await rig.call("POST", "/api/v4/keys", json=wish)).json()
    assert made["expires_at"] == "2099-01-01T00:00:00Z"


async def test_a_wish_that_is_not_valid_is_told_by_its_field(rig: Rig) -> None:
    changes: list[tuple[dict[str, Any], str]] = [
        ({"name": None}, "name should be a valid string."),
        ({"name": "  "}, "name string should have at least 1 character."),
        ({"name": "a\x00b"}, "name must not hold control characters."),
        ({"scopes": []}, "scopes frozenset should have at least 1 item after validation, not 0."),
        ({"scopes": ["root"]}, "scopes.0 should be 'admin' or 'realtime'."),
        ({"expires_at": "2020-01-01"}, "expires_at must lie in the future."),
        ({"max_sessions": 0}, "max_sessions should be greater than or equal to 1."),
        ({"max_session": 1}, "max_session is not known."),
    ]
    for change, sentence in changes:
        answer = await rig.call("POST", "/api/v4/keys", json={"name": "a key", "scopes": ["realtime"], **change})
        assert (answer.status_code, answer.json()) == (422, {"detail": sentence})


async def test_a_body_that_is_no_wish_is_told(rig: Rig) -> None:
    bodies = {
        b"": "The body is missing.",
        b"{}": "name is missing.",
        b"{broken": "The body is not valid JSON.",
        b"[]": "The body should be a valid dictionary or object to extract fields from.",
    }
    for body, sentence in bodies.items():
        answer = await rig.call("POST", "/api/v4/keys", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()) == (422, {"detail": sentence})


# --- reports ---------------------------------------------------------------------------------------------------------


async def _file_reports(rig: Rig) -> None:
    keys = {key.name: key.id for key in await rig.services.store.list_keys()}
    for number, name in enumerate(("client", "other", "client")):
        at = datetime(2030, 1, 1, 0, 0, number, tzinfo=UTC)
        report = Report(received_samples=16_000, words=2, finals=1, listening_after_s=0.01)
        await rig.services.store.file_report(
            SessionReport(f"s{number}", keys[name], at - timedelta(seconds=1), at, "en", "fast", "v2", report)
        )


async def _seen(rig: Rig, who: str, query: str = "") -> list[str]:
    return [row["session_id"] for row in (await rig.call("GET", f"/api/v4/sessions{query}", who=who)).json()]


async def test_an_admin_reads_all_reports_and_a_client_its_own(rig: Rig) -> None:
    await _file_reports(rig)
    assert await _seen(rig, "admin") == ["s2", "s1", "s0"]
    assert await _seen(rig, "client") == ["s2", "s0"]
    assert await _seen(rig, "other") == ["s1"]


async def test_reports_are_read_page_by_page(rig: Rig) -> None:
    await _file_reports(rig)
    assert await _seen(rig, "admin", "?limit=2") == ["s2", "s1"]
    assert await _seen(rig, "admin", "?limit=2&before=s1") == ["s0"]
    answer = await rig.call("GET", "/api/v4/sessions?limit=0")
    assert (answer.status_code, answer.json()["detail"]) == (422, "limit should be greater than or equal to 1.")


async def test_a_report_shows_its_figures_and_no_text(rig: Rig) -> None:
    await _file_reports(rig)
    row = (await rig.call("GET", "/api/v4/sessions?limit=1")).json()[0]
    assert (row["audio_ms"], row["words"], row["started_at"]) == (1000, 2, "2030-01-01T00:00:01Z")
    assert "text" not in row


# --- the service itself ----------------------------------------------------------------------------------------------


async def test_the_fleet_is_shown_to_an_admin(rig: Rig) -> None:
    await rig.call("POST", f"{BASE}/initialize")
    shown = (await rig.call("GET", "/api/v4/fleet")).json()
    assert (shown["status"], shown["target"], shown["workers"][0]["phase"]) == ("ready", 1, "ready")


async def test_a_gateway_is_well_without_workers(rig: Rig) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await rig.call("GET", path, who=None)
        assert (answer.status_code, answer.content) == (200, b'{"status":"ok"}')


async def test_a_gateway_that_stops_is_not_ready(rig: Rig) -> None:
    await rig.services.sessions.finish_all(0.1)
    answer = await rig.call("GET", "/readyz", who=None)
    assert (answer.status_code, answer.json()) == (503, {"detail": "The service is stopping. Reconnect shortly."})
    assert (await rig.call("GET", "/healthz", who=None)).status_code == 200


async def test_metrics_count_requests_by_their_route_template(rig: Rig) -> None:
    await rig.call("POST", f"{BASE}/initialize")
    await rig.call("DELETE", "/api/v4/keys/0123456789abcdef")
    await rig.call("GET", "/nowhere/at/all", who=None)
    answer = await rig.call("GET", "/metrics", who=None)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    for line in (
        'scribewire_requests_total{method="POST",route="/api/v4/realtime/initialize",status="200"} 1.0',
        'scribewire_requests_total{method="DELETE",route="/api/v4/keys/{id}",status="404"} 1.0',
        'scribewire_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'scribewire_initialize_seconds_count{outcome="ready"} 1.0',
        'scribewire_workers{phase="ready"} 1.0',
        "scribewire_slots 2.0",
        'scribewire_worker_rtf{worker="w1"} 0.1',
    ):
        assert line in lines


async def test_a_refusal_is_counted_by_its_code(rig: Rig) -> None:
    await rig.call("GET", f"{BASE}/status", who=None)
    assert 'scribewire_refused_total{code="not_authenticated"} 1.0' in (await rig.call("GET", "/metrics")).text


# --- what OpenAPI says ----------------------------------------------------------------------------------------------


async def test_openapi_is_true_of_every_answer(rig: Rig) -> None:
    await _file_reports(rig)
    calls: list[tuple[str, str, str, dict[str, Any]]] = [
        ("GET", f"{BASE}/status", "{}", {}),
        ("GET", f"{BASE}/status", "{}", {"who": None}),
        ("POST", f"{BASE}/initialize", "{}", {}),
        ("POST", f"{BASE}/initialize", "{}", {"who": "client"}),
        ("POST", "/api/v4/keys", "{}", {"json": {"name": "a", "scopes": ["admin"]}}),
        ("POST", "/api/v4/keys", "{}", {"json": {}}),
        ("GET", "/api/v4/keys", "{}", {}),
        ("DELETE", "/api/v4/keys/{id}", "nobody", {}),
        ("GET", "/api/v4/sessions", "{}", {}),
        ("GET", "/api/v4/fleet", "{}", {}),
        ("GET", "/api/v4/fleet/history", "{}", {}),
        ("GET", "/api/v4/sessions/live", "{}", {}),
        ("GET", f"{BASE}/languages", "{}", {}),
        ("POST", f"{BASE}/tickets", "{}", {"json": {"language": "en", "max_s": 60}}),
        ("POST", f"{BASE}/tickets", "{}", {"json": {"max_s": 0}}),
        ("POST", f"{BASE}/shares", "{}", {}),
        ("GET", f"{BASE}/shares/{{id}}", "nobody", {}),
        ("GET", "/healthz", "{}", {}),
        ("GET", "/readyz", "{}", {}),
    ]
    document = (await rig.call("GET", "/openapi.json", who=None)).json()
    for method, path, key_id, given in calls:
        answer = await rig.call(method, path.replace("{id}", key_id), **given)
        documented = document["paths"][path][method.lower()]["responses"][str(answer.status_code)]
        _check(answer.json(), documented["content"]["application/json"]["schema"], document)


def _check(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Hold a value against the parts of JSON Schema that our models make."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        kinds = {kind.get("type", "object"): kind for kind in schema["anyOf"]}
        schema = kinds["null"] if value is None else next(kind for name, kind in kinds.items() if name != "null")
    if "enum" in schema:
        assert value in schema["enum"]
    match schema.get("type"):
        case "object":
            assert value.keys() == schema["properties"].keys()
            for name, part in schema["properties"].items():
                _check(value[name], part, document)
        case "array":
            for item in value:
                _check(item, schema["items"], document)
        case kind:
            types: dict[str, Any] = {
                "string": str,
                "integer": int,
                "number": (int, float),
                "boolean": bool,
                "null": type(None),
            }
            assert isinstance(value, types[str(kind)])
