"""Fetching on the real service: a local origin, real speech, and what a client sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from service import Service
from tests.e2e.conftest import Clip, ready
from tests.e2e.words import share_right
from tests.media import encode, playlist, segments
from tests.origin import Answer, Origin, head, reply, serving
from tests.scalers.kube.node import free_port
from wire import Talk, Transcript

pytestmark = pytest.mark.e2e

SECRET_QUERY = "signature=onlyforyou"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Service]:
    """Give a service that may fetch from this machine, and from this one port."""
    fetch = {"ENABLED": "true", "SCHEMES": "http", "HOSTS": "*", "PORTS": str(port), "PRIVATE": "true"}
    settings = {f"FETCH__{name}": value for name, value in fetch.items()}
    with ready(tmp_path_factory.mktemp("service"), settings) as service:
        yield service


@pytest.fixture
async def origin(port: int) -> AsyncIterator[Origin]:
    async with serving(port=port) as origin:
        yield origin


async def fetch(service: Service, url: str, query: str = "", key: str | None = None, **options: Any) -> Talk:
    path = f"/v2/client/{key or service.key}?url={quote(url, safe='')}{query}"
    return await Talk.open(service.socket_url + path, **options)


def assert_heard(clip: Clip, heard: Transcript) -> None:
    assert heard.states == ["loading", "listening", "stopped"]
    assert heard.messages[0][1] == {"state": "loading"}
    assert heard.messages[-1][1] == {"state": "stopped"}
    assert heard.close_code == 1000
    assert share_right(clip.text, heard.text) >= 0.9


@pytest.mark.parametrize(
    ("form", "codec"),
    [("wav", "pcm_s16le"), ("mp3", "libmp3lame"), ("flac", "flac"), ("ogg", "libopus"), ("adts", "aac")],
)
async def test_a_file_is_transcribed_and_its_end_is_a_stop(
    service: Service, origin: Origin, clips: dict[str, Clip], form: str, codec: str
) -> None:
    clip = clips["rms-train"]
    origin.answers["/a"] = reply(encode(clip.pcm, form, codec), type_="application/octet-stream")
    assert_heard(clip, await (await fetch(service, origin.url + "/a")).ended())


async def test_radio_is_heard_until_the_client_stops(service: Service, origin: Origin, clips: dict[str, Clip]) -> None:
    clip = clips["rms-train"]
    whole = encode(clip.pcm + bytes(32_000), "mp3", "libmp3lame")

    async def radio(writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", {"Content-Type": "audio/mpeg", "icy-name": "Radio"}, version="HTTP/1.0"))
        while True:
            writer.write(whole)
            await writer.drain()
            await asyncio.sleep(s_of(clip) + 1)

    origin.answers["/radio"] = radio
    talk = await fetch(service, origin.url + "/radio")
    await talk.until("is_final", value=True)
    heard = await talk.stop()
    assert heard.states == ["loading", "listening", "stopped"]
    assert heard.close_code == 1000
    assert share_right(clip.text, heard.finals[0]["text"]) >= 0.9


def s_of(clip: Clip) -> float:
    return len(clip.pcm) / 32_000


async def test_live_hls_is_transcribed_at_its_pace(service: Service, origin: Origin, clips: dict[str, Clip]) -> None:
    clip = clips["rms-train"]
    times = max(2, round(10 / (s_of(clip) + 1)))
    names = publish(origin, (clip.pcm + bytes(32_000)) * times)
    # Real segments of a real length; the playlist slides at ten times their pace, and time is kept by the pacing alone.
    origin.answers["/live"] = sliding(names)
    heard = await (await fetch(service, origin.url + "/live")).ended(within_s=90)
    assert heard.states == ["loading", "listening", "stopped"]
    assert share_right(" ".join([clip.text] * times), heard.text) >= 0.85


def publish(origin: Origin, pcm: bytes) -> list[str]:
    _, parts = segments(pcm)
    for number, part in enumerate(parts):
        origin.answers[f"/{number}"] = reply(part, type_="video/mp2t")
    return [str(number) for number in range(len(parts))]


def sliding(names: list[str]) -> Answer:
    """Show three segments, and each time one more, until the last."""
    ends = iter(range(3, len(names) + 1))

    async def answer(writer: asyncio.StreamWriter) -> None:
        end = next(ends, len(names))
        text = playlist(names[end - 3 : end], first=end - 3, ended=end == len(names), target_s=0.2)
        await reply(text.encode(), type_="application/vnd.apple.mpegurl")(writer)

    return answer


# --- what a client may say -------------------------------------------------------------------------------------------


async def test_a_client_may_start_itself_and_choose(service: Service, origin: Origin, clips: dict[str, Clip]) -> None:
    clip = clips["rms-train"]
    whole = encode(clip.pcm, "flac", "flac")
    may_answer = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        await reply(whole)(writer)

    origin.answers["/a"] = late
    talk = await fetch(service, origin.url + "/a")
    await talk.say(action="start", partial=False)
    await talk.say(action="nonsense")
    await talk.until("code", "bad_message")
    may_answer.set()
    heard = await talk.ended()
    assert (heard.states, heard.partials) == (["loading", "listening", "stopped"], [])
    assert share_right(clip.text, heard.text) >= 0.9


async def test_the_query_may_choose_too(service: Service, origin: Origin, clips: dict[str, Clip]) -> None:
    origin.answers["/a"] = reply(encode(clips["rms-train"].pcm, "flac", "flac"))
    heard = await (await fetch(service, origin.url + "/a", "&partial=false&shape=v1")).ended()
    assert heard.partials == []
    assert heard.finals[0].keys() == {"result", "speaker", "text"}


@pytest.mark.parametrize("leave", [Talk.stop, Talk.abandon])
async def test_a_client_that_leaves_while_the_source_is_slow_leaves_nothing_behind(
    service: Service, origin: Origin, leave: Callable[[Talk], Awaitable[object]]
) -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    origin.answers["/a"] = silent
    talk = await fetch(service, origin.url + "/a")
    await talk.until("state", "loading")
    await leave(talk)
    if leave is Talk.stop:
        assert (talk.heard.states, talk.heard.close_code) == (["loading", "stopped"], 1000)
    async with asyncio.timeout(2):
        while decoders(service):
            await asyncio.sleep(0.02)


def decoders(service: Service) -> list[psutil.Process]:
    return [child for child in service.workers() if is_decoder(child)]


def is_decoder(child: psutil.Process) -> bool:
    try:
        return "scribewire.gateway.fetching.decoder" in child.cmdline()
    except psutil.NoSuchProcess:  # or one that has just ended
        return False


async def test_only_so_many_sources_load_at_once(service: Service, origin: Origin) -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    origin.answers["/a"] = silent
    talks = [await fetch(service, origin.url + "/a") for _ in range(17)]
    heard = await talks.pop().ended()
    assert (heard.errors[0]["code"], heard.close_code) == ("at_capacity", 1013)
    for talk in talks:
        await talk.abandon()


async def test_a_client_that_breaks_off_in_the_middle_leaves_nothing_behind(
    service: Service, origin: Origin, clips: dict[str, Clip]
) -> None:
    origin.answers["/a"] = reply(encode(clips["rms-train"].pcm * 20, "flac", "flac"))
    talk = await fetch(service, origin.url + "/a")
    await talk.until("is_final", value=True)
    assert decoders(service)
    await talk.abandon()
    async with asyncio.timeout(2):
        while decoders(service):
            await asyncio.sleep(0.02)


async def test_a_source_that_breaks_off_is_told_and_what_was_heard_is_not_lost(
    service: Service, origin: Origin, clips: dict[str, Clip]
) -> None:
    clip = clips["rms-train"]
    whole = encode(clip.pcm + bytes(32_000), "mp3", "libmp3lame")
    origin.answers["/a"] = reply(whole, Content_Length=str(2 * len(whole)))
    heard = await (await fetch(service, origin.url + "/a")).ended()
    assert heard.states == ["loading", "listening", "stopped"]
    assert [error["code"] for error in heard.errors] == ["fetch_failed"]
    assert share_right(clip.text, heard.text) >= 0.9


# --- who may, and where to -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "code", "close_code"),
    [
        ("", "fetch_refused", 1008),
        ("file:///etc/passwd", "fetch_refused", 1008),
        ("http://169.254.169.254:{port}/", "fetch_refused", 1008),
        ("http://[::ffff:127.0.0.1]:{port}/a", "fetch_refused", 1008),
        ("http://user@127.0.0.1:{port}/a", "fetch_refused", 1008),
        ("http://2130706433:{port}/a", "fetch_refused", 1008),
        ("http://127.0.0.1:{port}/missing", "fetch_failed", 1011),
        ("http://127.0.0.1:{port}/noise", "unsupported_audio", 1003),
    ],
)
async def test_a_source_that_is_refused_or_fails_ends_the_session(
    service: Service, origin: Origin, url: str, code: str, close_code: int
) -> None:
    origin.answers["/noise"] = reply(b"not audio" * 1000)
    heard = await (await fetch(service, url.format(port=origin.port))).ended()
    assert [message for _, message in heard.messages[1:]] == heard.errors
    assert (heard.errors[0]["code"], heard.close_code) == (code, close_code)


async def test_the_key_in_the_path_is_checked_at_the_upgrade(service: Service, origin: Origin) -> None:
    made = service.call("POST", "/api/v4/keys", json={"name": "admin only", "scopes": ["admin"]}).json()
    for key, status, body in (
        ("sw_wrong", 401, b'{"detail":"Not authenticated"}'),
        (made["key"], 403, b'{"detail":"Not enough permissions"}'),
    ):
        with pytest.raises(InvalidStatus) as refusal:
            await fetch(service, origin.url + "/a", key=key)
        assert (refusal.value.response.status_code, refusal.value.response.body) == (status, body)
    talk = await fetch(service, origin.url + "/a", key="sw_wrong", headers={"Origin": "https://example.org"})
    heard = await talk.ended()
    assert [message for _, message in heard.messages] == [{"error": "Not authenticated", "code": "not_authenticated"}]
    assert heard.close_code == 1008
    assert origin.asked == []


async def test_neither_key_nor_url_is_ever_logged(service: Service, origin: Origin, clips: dict[str, Clip]) -> None:
    origin.answers["/a"] = reply(encode(clips["rms-train"].pcm, "flac", "flac"))
    for path in ("/a", "/missing"):
        await (await fetch(service, f"{origin.url}{path}?{SECRET_QUERY}")).ended()
    assert f"GET /a?{SECRET_QUERY} " in origin.asked[0]
    log = service.log.read_text()
    assert "session ended" in log
    assert not any(secret in log for secret in (service.key, SECRET_QUERY, "onlyforyou", origin.url, "/v2/client"))


# --- for how long ----------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_ten_minutes_of_hls_are_transcribed_with_flat_memory(
    service: Service, origin: Origin, clips: dict[str, Clip]
) -> None:
    clip = clips["rms-train"]
    times = round(600 / (s_of(clip) + 1))
    names = publish(origin, (clip.pcm + bytes(32_000)) * times)
    origin.answers["/recorded"] = reply(playlist(names).encode(), type_="application/vnd.apple.mpegurl")
    talk = await fetch(service, origin.url + "/recorded", "&partial=false")
    gateway = psutil.Process(service.process.pid)
    held: list[tuple[int, int]] = []
    ended = asyncio.create_task(talk.ended(within_s=800))
    while not ended.done():
        await asyncio.wait({ended}, timeout=1)
        if decoding := decoders(service):
            held.append((gateway.memory_info().rss, decoding[0].memory_info().rss))
    heard = ended.result()
    assert heard.states == ["loading", "listening", "stopped"]
    assert share_right(" ".join([clip.text] * times), heard.text) >= 0.85
    warm = held[len(held) // 5 :]
    for each in zip(*warm, strict=True):
        assert max(each) - each[0] < 8 * 1024 * 1024
