"""What a page does without a browser: sessions by ticket, and captions that others read along, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from scribewire.tones import say
from service import Service, running
from wire import Talk

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

PAGE = "https://captions.example"
SETTINGS = {
    "ENGINES__EN__FAST": "scripted:words",
    "GATE__DETECTOR": "energy",
    "GATE__HANGOVER_MS": "200",
    "WORKER__SLOTS": "8",
    "AUTOSCALING__MIN_WORKERS": "1",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(SETTINGS, data_dir=tmp_path_factory.mktemp("sharing")) as service:
        await asyncio.to_thread(service.initialize)
        yield service


def ticket_of(service: Service, origin: str | None = PAGE, **wish: object) -> str:
    headers = {"origin": origin} if origin else {}
    answer = service.call("POST", "/api/v4/realtime/tickets", json=wish, headers=headers)
    assert answer.status_code == 201, answer.text
    ticket: str = answer.json()["ticket"]
    assert answer.json()["endpoint"] == service.socket_url + "/v2/realtime"
    return ticket


def share_of(service: Service) -> dict[str, Any]:
    answer = service.call("POST", "/api/v4/realtime/shares")
    assert answer.status_code == 201, answer.text
    share: dict[str, Any] = answer.json()
    return share


async def enter(service: Service, ticket: str, origin: str | None = PAGE, *, query: str = "") -> Talk:
    headers = {"Origin": origin} if origin else {}
    return await Talk.open(f"{service.socket_url}/v2/realtime?token={ticket}{query}", headers=headers)


async def refused(talk: Talk) -> str:
    """Give why a session was not to be."""
    heard = await talk.ended()
    assert heard.close_code == 1008
    code: str = heard.errors[-1]["code"]
    return code


# --- tickets ---------------------------------------------------------------------------------------------------------


async def test_a_ticket_holds_one_session(service: Service) -> None:
    ticket = ticket_of(service)
    talk = await enter(service, ticket)
    await talk.start()
    await talk.send(say("alfa bravo"), pace=None)
    assert (await talk.stop()).text == "alfa bravo"
    assert await refused(await enter(service, ticket)) == "not_authenticated"


async def test_a_socket_that_never_starts_leaves_its_ticket_unspent(service: Service) -> None:
    ticket = ticket_of(service)
    await (await enter(service, ticket)).abandon()
    talk = await enter(service, ticket)
    await talk.start()
    assert (await talk.stop()).close_code == 1000


async def test_of_two_that_start_on_one_ticket_one_does(service: Service) -> None:
    ticket = ticket_of(service)
    talks = [await enter(service, ticket) for _ in range(2)]
    for talk in talks:
        await talk.say(action="start")
        await talk.say(action="stop")
    heards = await asyncio.gather(*(talk.ended() for talk in talks))
    assert sorted(heard.close_code or 0 for heard in heards) == [1000, 1008]


async def test_another_page_may_not_use_it_and_is_told_in_the_socket(service: Service) -> None:
    ticket = ticket_of(service)
    assert await refused(await enter(service, ticket, "https://elsewhere.example")) == "not_authenticated"
    with pytest.raises(InvalidStatus) as caught:
        await enter(service, ticket, None)
    assert caught.value.response.status_code == 401


async def test_a_ticket_may_also_stand_in_the_start(service: Service) -> None:
    talk = await Talk.open(service.socket_url + "/v2/realtime", headers={"Origin": PAGE})
    await talk.start(key=ticket_of(service))
    assert (await talk.stop()).close_code == 1000


async def test_a_ticket_of_a_language_is_for_no_other(service: Service) -> None:
    talk = await enter(service, ticket_of(service, language="en"), query="&language=de")
    await talk.say(action="start")
    assert await refused(talk) == "not_permitted"


async def test_a_session_ends_in_time_with_all_that_was_said(service: Service) -> None:
    talk = await enter(service, ticket_of(service, max_s=1))
    await talk.start()
    await talk.send(say("alfa bravo"), pace=None)
    heard = await talk.ended()
    assert (heard.text, heard.states, heard.close_code) == ("alfa bravo", ["listening", "stopped"], 1000)


async def test_a_ticket_for_a_share_of_somebody_else_is_not_given(service: Service) -> None:
    other = service.call("POST", "/api/v4/keys", json={"name": "other", "scopes": ["realtime"]}).json()["key"]
    wish = {"share": share_of(service)["id"]}
    assert service.call("POST", "/api/v4/realtime/tickets", json=wish, key=other).status_code == 404


# --- shares ----------------------------------------------------------------------------------------------------------


class Reader:
    """One who reads along."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.said: list[dict[str, Any]] = []

    async def until(self, **wanted: object) -> list[str]:
        """Read until a message has all of that; give the finals so far."""
        async with asyncio.timeout(20):
            while True:
                self.said.append(json.loads(await self._socket.recv()))
                if wanted.items() <= self.said[-1].items():
                    return [message["text"] for message in self.said if message.get("is_final")]

    async def closed(self) -> int | None:
        async with asyncio.timeout(20):
            try:
                while True:
                    self.said.append(json.loads(await self._socket.recv()))
            except ConnectionClosed:
                return self._socket.close_code


async def read_along(service: Service, secret: str) -> Reader:
    return Reader(await connect(f"{service.socket_url}/v2/watch?token={secret}"))


async def speak(service: Service, share: dict[str, Any], words: str) -> Talk:
    talk = await enter(service, ticket_of(service, share=share["id"]))
    await talk.start()
    await talk.send(say(words), pace=None)
    await talk.say(action="flush", id=1)
    await talk.until("flushed")
    return talk


async def test_readers_read_what_the_speaker_does_however_late_they_come(service: Service) -> None:
    share = share_of(service)
    early = await read_along(service, share["secret"])
    await early.until(state="watching", live=False)
    talk = await speak(service, share, "alfa bravo")
    late = await read_along(service, share["secret"])
    assert await late.until(is_final=True) == ["alfa bravo"]
    assert late.said[0] == {"state": "watching", "live": True}
    await talk.send(say("charlie"), pace=None)
    heard = await talk.stop()
    for reader in (early, late):
        assert await reader.until(state="paused") == ["alfa bravo", "charlie"]
    assert [message for message in late.said if message.get("is_final")] == heard.finals
    assert service.call("GET", f"/api/v4/realtime/shares/{share['id']}").json() == {
        "id": share["id"],
        "viewers": 2,
        "live": False,
        "expires_at": share["expires_at"],
    }


async def test_a_speaker_that_comes_back_goes_on_before_the_same_readers(service: Service) -> None:
    share = share_of(service)
    reader = await read_along(service, share["secret"])
    await (await speak(service, share, "alfa")).abandon()
    await reader.until(state="paused")
    await (await speak(service, share, "bravo")).stop()
    assert await reader.until(state="paused") == ["alfa", "bravo"]


async def test_a_closed_share_lets_nobody_in(service: Service) -> None:
    share = share_of(service)
    reader = await read_along(service, share["secret"])
    await reader.until(state="watching")
    assert service.call("DELETE", f"/api/v4/realtime/shares/{share['id']}").status_code == 204
    assert await reader.closed() == 1000
    assert reader.said[-1] == {"state": "stopped"}
    for secret in (share["secret"], "sww_nothing", ""):
        late = await read_along(service, secret)
        assert await late.closed() == 1008
        assert late.said[-1]["code"] == "not_authenticated"


async def test_a_readers_secret_speaks_for_nobody(service: Service) -> None:
    share = share_of(service)
    with pytest.raises(InvalidStatus) as caught:
        await enter(service, share["secret"], None)
    assert caught.value.response.status_code == 401
    assert service.call("GET", "/api/v4/realtime/status", key=share["secret"]).status_code == 401


async def test_live_sessions_are_listed_without_a_word_of_theirs(service: Service) -> None:
    talk = await enter(service, ticket_of(service))
    await talk.start()
    await talk.send(say("alfa bravo"), pace=None)
    await talk.until("is_final", False)
    answer = service.call("GET", "/api/v4/sessions/live")
    [row] = [row for row in answer.json() if row["audio_ms"] > 0]
    assert (row["key_name"], row["language"], row["type"], row["worker"]) == ("first key", "en", "fast", "w1")
    assert row["lag_s"] >= 0
    assert "alfa" not in answer.text
    await talk.stop()


async def test_a_service_that_stops_tells_its_readers_and_wrote_no_secret(tmp_path: Path) -> None:
    async with running(SETTINGS, data_dir=tmp_path) as service:
        await asyncio.to_thread(service.initialize)
        share = share_of(service)
        reader = await read_along(service, share["secret"])
        await (await speak(service, share, "alfa")).stop()
        await reader.until(state="paused")
        await refused(await enter(service, ticket_of(service), "https://elsewhere.example"))
        service.interrupt()
        assert await reader.closed() == 1001
        assert await service.ended() == 0
        log = service.log.read_text()
    assert "swt_" not in log
    assert "sww_" not in log
