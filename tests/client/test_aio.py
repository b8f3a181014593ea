"""The client against a service that says what it is told to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from scribewire.client import Client, Final, Flushed, Partial, State
from scribewire.client.aio import is_loopback
from scribewire.errors import (
    AtCapacity,
    Disconnected,
    InitializeFailed,
    NeverReady,
    NotAuthenticated,
    NotPermitted,
    RateLimited,
    ScaledDown,
    ScribewireError,
    Unreachable,
)
from tests.client.fake_service import LISTENING, READY, SCALED_DOWN, STOPPED, Answer, FakeService, running

pytestmark = pytest.mark.integration

STATUS = "GET /api/v4/realtime/status"
INITIALIZE = "POST /api/v4/realtime/initialize"


async def say_nothing(_: ServerConnection) -> None:
    """The script of tests that open no socket."""


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ((401, {"detail": "Not authenticated"}), NotAuthenticated, "Not authenticated"),
        ((403, {"detail": "Not enough permissions"}), NotPermitted, "Not enough permissions"),
        ((429, {"detail": "Rate limit exceeded"}), RateLimited, "Rate limit exceeded"),
        ((503, {"detail": "Realtime service failed to start"}), NeverReady, "Realtime service failed to start"),
        (
            (500, {"detail": "Failed to initialize realtime service: quota"}),
            InitializeFailed,
            "Failed to initialize realtime service: quota",
        ),
        ((502, ["no object"]), Unreachable, "The server answered with HTTP status 502."),
        ((418, ["no object"]), ScribewireError, "The server answered with HTTP status 418."),
        ((422, {"detail": [{"msg": "too long"}, {"msg": "too old"}]}), ScribewireError, "too long; too old"),
    ],
)
async def test_every_answer_that_is_no_success_is_the_error_it_means(
    answer: Answer, error: type[ScribewireError], sentence: str
) -> None:
    async with running(FakeService(say_nothing, {INITIALIZE: answer})) as service, Client(service.url, "k") as client:
        with pytest.raises(error) as caught:
            await client.initialize()
    assert type(caught.value) is error
    assert str(caught.value) == sentence


async def test_each_status_on_the_way_to_ready_is_told() -> None:
    starting = {"status": "starting", "message": "Realtime service is starting up", "ready": False}
    service = FakeService(say_nothing, {STATUS: (200, starting), INITIALIZE: (200, READY)})
    seen: list[str] = []
    async with running(service), Client(service.url, "k") as client:
        await client.initialize(on_status=lambda status: seen.append(status.status))
    assert seen == ["starting", "ready"]


async def test_nothing_at_the_address_is_unreachable() -> None:
    async with running(FakeService(say_nothing)) as service:
        url = service.url
    async with Client(url, "k") as client:
        with pytest.raises(Unreachable, match="Nothing answers at"):
            await client.status()


async def test_the_key_travels_in_the_contracts_header_and_never_in_the_url() -> None:
    async def talk(connection: ServerConnection) -> None:
        await service.hear(connection)
        await connection.send(LISTENING)
        await connection.send(STOPPED)

    service = FakeService(talk, {STATUS: (200, READY)})
    async with running(service), Client(service.url, "k") as client, client.session(language="en-US") as session:
        assert [message async for message in session] == []
    path, headers = service.upgrades[0]
    assert service.calls[0][1]["x-zoom-s2t-key"] == headers["x-zoom-s2t-key"] == "k"
    assert path == "/v2/realtime?language=en-US&type=fast"
    assert "Sec-WebSocket-Extensions" not in headers


async def test_a_session_gives_what_the_server_says_up_to_stopped() -> None:
    async def talk(connection: ServerConnection) -> None:
        await service.hear(connection)
        await connection.send(LISTENING)
        await connection.send('{"text":"hi","is_final":false,"offset_ms":100,"stability":0.5}')
        await service.hear(connection)
        await connection.send('{"text":"hi","is_final":true,"offset_ms":200,"words":[["hi",0,180,0.97]]}')
        await connection.send('{"flushed":"m"}')
        await connection.send('{"state":"shutting_down","at":12}')
        await service.hear(connection)
        await connection.send(STOPPED)

    service = FakeService(talk, {STATUS: (200, READY)})
    async with running(service), Client(service.url, "k") as client, client.session(partial=False) as session:
        assert session.id == "s1"
        await session.send(b"\x01\x00" * 50_000)
        await session.flush("m")
        await session.stop()
        messages: list[Any] = [message async for message in session]
    partial, final, flushed, warning = messages
    assert isinstance(partial, Partial)
    assert isinstance(final, Final)
    assert (final.words[0].text, final.words[0].confidence, final.speaker) == ("hi", 0.97, None)
    assert flushed == Flushed("m")
    assert warning == State("shutting_down", at=12)
    assert service.said == [
        {"action": "start", "partial": False, "actual_numbers": False},
        {"action": "flush", "id": "m"},
        {"action": "stop"},
    ]
    assert len(service.audio) == 100_000


async def test_an_error_message_is_raised_as_the_error_it_means() -> None:
    async def talk(connection: ServerConnection) -> None:
        await service.hear(connection)
        await connection.send('{"error":"All recognisers are busy.","code":"at_capacity","retry_after":3}')

    service = FakeService(talk, {STATUS: (200, READY)})
    async with running(service), Client(service.url, "k") as client:
        with pytest.raises(AtCapacity, match="All recognisers are busy") as caught:
            async with client.session():
                pass
    assert caught.value.retry_after_s == 3


async def test_a_socket_that_closes_before_stopped_is_a_disconnection() -> None:
    async def talk(connection: ServerConnection) -> None:
        await service.hear(connection)
        await connection.send(LISTENING)

    service = FakeService(talk, {STATUS: (200, READY)})
    async with running(service), Client(service.url, "k") as client, client.session() as session:
        with pytest.raises(Disconnected):
            _ = [message async for message in session]
        with pytest.raises(Disconnected):
            await session.send(b"\0\0")


async def test_a_refused_upgrade_is_the_error_of_its_body() -> None:
    service = FakeService(say_nothing, {STATUS: (200, READY)}, refuse_upgrade=(429, {"detail": "Rate limit exceeded"}))
    async with running(service), Client(service.url, "k") as client:
        with pytest.raises(RateLimited) as caught:
            async with client.session():
                pass
    assert caught.value.retry_after_s == 7


async def test_a_service_that_never_listens_is_given_up() -> None:
    forever = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        await forever.wait()

    service = FakeService(talk, {STATUS: (200, READY)})
    async with running(service), Client(service.url, "k") as client:
        with pytest.raises(Unreachable, match=r"did not listen within 0\.05 s"):
            async with client.session(listen_wait_s=0.05):
                pass
        forever.set()


async def test_scaled_down_is_known_by_its_sentence() -> None:
    async def talk(connection: ServerConnection) -> None:
        await service.hear(connection)
        await connection.send('{"error":"Realtime service is scaled down. Call /initialize to start it."}')

    service = FakeService(talk, {STATUS: (200, SCALED_DOWN)})
    async with running(service), Client(service.url, "k") as client:
        with pytest.raises(ScaledDown):
            async with client.session():
                pass


async def test_keys_are_made_with_what_was_asked_and_revoked() -> None:
    service = FakeService(
        say_nothing,
        {"POST /api/v4/keys": (201, {"id": "k2", "key": "secret"}), "DELETE /api/v4/keys/k2": (204, None)},
    )
    async with running(service), Client(service.url, "k") as client:
        assert (await client.create_key("phone", ["realtime"], max_sessions=2))["key"] == "secret"
        await client.revoke_key("k2")
    assert service.calls[0][2] == {"name": "phone", "scopes": ["realtime"], "max_sessions": 2}


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000", True),
        ("ws://[::1]:8000/v2", True),
        ("http://localhost", True),
        ("https://localhost.example.org", False),
        ("https://10.0.0.1", False),
    ],
)
def test_only_this_machines_addresses_are_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback
