"""Calls go where they were checked to go, and nowhere else, and take no more than they may."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scribewire.errors import FetchFailed, FetchRefused
from scribewire.gateway.fetching.calls import Caller, resolve
from scribewire.gateway.fetching.rules import Rules
from scribewire.settings import FetchSettings
from tests.gateway.doubles import eventually
from tests.origin import Origin, head, redirect, reply, serving
from tests.scalers.kube.access import make_certificate, server_side

pytestmark = pytest.mark.integration

TLS = ssl.create_default_context()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with serving() as origin:
        yield origin


class Names:
    """A resolver that gives each name its addresses in turn, the last for good, and counts how often it was asked."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self._answers:
            raise OSError("no such name")
        answers = self._answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def caller(origin: Origin, names: Names | None = None, *, tls: ssl.SSLContext = TLS, **settings: Any) -> Caller:
    given = {"schemes": ("http", "https"), "hosts": ("*",), "ports": (origin.port,), "private": True} | settings
    return Caller(Rules(FetchSettings(**given)), most_bytes=100_000, tls=tls, resolve=names or Names())


async def get(calls: Caller, url: str, **options: Any) -> bytes:
    try:
        async with asyncio.timeout(5), calls.open(url, **options) as answer:
            return b"".join([block async for block in answer.blocks()])
    finally:
        await calls.close()


async def test_a_body_arrives_whole(origin: Origin) -> None:
    origin.answers["/a"] = reply(bytes(50_000))
    assert await get(caller(origin), origin.url + "/a?b=c") == bytes(50_000)
    assert origin.paths == ["/a?b=c"]


# --- where to --------------------------------------------------------------------------------------------------------


async def test_a_name_is_resolved_once_and_called_by_that_address_under_its_own_name(origin: Origin) -> None:
    origin.answers["/a"] = reply(b"music")
    names = Names(radio_example=[["127.0.0.1"], ["169.254.169.254"]])
    assert await get(caller(origin, names), f"http://radio.example:{origin.port}/a") == b"music"
    assert names.asked == ["radio.example"]
    assert f"Host: radio.example:{origin.port}" in origin.asked[0]


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1", "192.168.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["0.0.0.0"], []],
)
async def test_a_name_that_leads_inside_is_refused_like_one_that_leads_nowhere(
    origin: Origin, addresses: list[str]
) -> None:
    sentences = set()
    for host in ("inside.example", "nowhere.example"):
        calls = caller(origin, Names(inside_example=[addresses]), private=False)
        with pytest.raises(FetchRefused) as refusal:
            await get(calls, f"http://{host}:{origin.port}/a")
        sentences.add(str(refusal.value))
    assert len(sentences) == 1
    assert origin.asked == []


async def test_of_several_addresses_only_those_that_may_be_called_are(origin: Origin) -> None:
    origin.answers["/a"] = reply(b"music")
    # Nothing listens on the second, and the first is barred whatever is set.
    names = Names(radio_example=[["169.254.169.254", "127.0.0.2", "127.0.0.1"]])
    assert await get(caller(origin, names), f"http://radio.example:{origin.port}/a") == b"music"


async def test_names_that_take_long_keep_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = threading.Event()

    def look_up_slowly(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        answer.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up_slowly)
    lookups = [asyncio.create_task(resolve(f"{number}.example", 80)) for number in range(100)]
    try:
        await eventually(lambda: asked)
        # What the loop itself uses, and the threads of everybody.
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().run_in_executor(None, len, "")
        assert len(asked) < len(lookups)
    finally:
        answer.set()
    assert await asyncio.gather(*lookups) == [["192.0.2.1"]] * 100


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_an_ipv6_address_is_called_as_one() -> None:
    async with serving(host="::1") as origin:
        origin.answers["/a"] = reply(b"music")
        names = Names(radio_example=[["::1"]])
        assert await get(caller(origin, names), f"http://radio.example:{origin.port}/a") == b"music"
        assert await get(caller(origin), f"http://[::1]:{origin.port}/a") == b"music"


async def test_a_name_that_rebinds_after_a_redirect_is_checked_again(origin: Origin) -> None:
    names = Names(radio_example=[["127.0.0.1"], ["169.254.169.254"]])
    origin.answers["/a"] = redirect("/b")
    origin.answers["/b"] = reply(b"secret")
    with pytest.raises(FetchRefused):
        await get(caller(origin, names), f"http://radio.example:{origin.port}/a")
    assert names.asked == ["radio.example"] * 2
    assert origin.paths == ["/a"]


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0:{port}/secret",
        "http://0177.0.0.1:{port}/secret",
        "http://user@127.0.0.1:{port}/secret",
        "http://elsewhere.example:{port}/secret",
        "http://127.0.0.1:22/",
        "file:///etc/passwd",
        "",
    ],
)
async def test_a_redirect_elsewhere_is_refused(origin: Origin, to: str) -> None:
    origin.answers["/a"] = redirect(to.format(port=origin.port))
    origin.answers["/secret"] = reply(b"secret")
    chosen = caller(origin, ports=(origin.port, 80), hosts=("127.0.0.1", "169.254.169.254", "0.0.0.0", "*.example"))
    with pytest.raises((FetchRefused, FetchFailed)):
        await get(chosen, origin.url + "/a")
    assert set(origin.paths) == {"/a"}


async def test_a_redirect_to_this_machine_is_refused_where_that_is_not_set(origin: Origin) -> None:
    origin.answers["/a"] = redirect(f"http://inside.example:{origin.port}/secret")

    class Public(Rules):
        """Takes this machine for a public one the first time that it is asked."""

        left = 1

        def may_call(self, address: Any) -> bool:
            self.left -= 1
            return self.left >= 0 or super().may_call(address)

    rules = Public(FetchSettings(schemes=("http",), hosts=("*",), ports=(origin.port,)))
    names = Names(outside_example=[["127.0.0.1"]], inside_example=[["127.0.0.1"]])
    with pytest.raises(FetchRefused):
        await get(Caller(rules, most_bytes=1000, tls=TLS, resolve=names), f"http://outside.example:{origin.port}/a")
    assert origin.paths == ["/a"]


async def test_redirects_are_followed_so_many_times(origin: Origin) -> None:
    for hop in range(5):
        origin.answers[f"/{hop}"] = redirect(f"/{hop + 1}", status="307 Temporary Redirect")
    origin.answers["/5"] = reply(b"music")
    assert await get(caller(origin), origin.url + "/0") == b"music"
    origin.answers["/5"] = redirect("/0")
    with pytest.raises(FetchFailed, match="redirects"):
        await get(caller(origin), origin.url + "/0")


async def test_nothing_of_ours_and_nothing_of_another_host_is_sent(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    origin.answers["/a"] = reply(b"", status="302 Found", Location="/b", Set_Cookie="a=b")
    origin.answers["/b"] = reply(b"music")
    assert await get(caller(origin), origin.url + "/a") == b"music"
    names = {line.partition(":")[0] for line in origin.asked[1].splitlines()[1:] if line}
    assert names == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, for a certificate")
async def test_a_certificate_is_checked_by_the_name_that_was_asked_for_and_not_by_the_address(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)  # for 127.0.0.1
    tls = ssl.create_default_context(cafile=str(certificate))
    async with serving(server_side(certificate)) as origin:
        origin.answers["/a"] = reply(b"music")
        assert await get(caller(origin, tls=tls), f"https://127.0.0.1:{origin.port}/a") == b"music"
        names = Names(radio_example=[["127.0.0.1"]])
        with pytest.raises(FetchFailed, match="reached"):
            await get(caller(origin, names, tls=tls), f"https://radio.example:{origin.port}/a")
        assert len(origin.asked) == 1


# --- how much --------------------------------------------------------------------------------------------------------


async def test_a_body_past_the_bound_is_broken_off(origin: Origin) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", {}))
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    origin.answers["/a"] = endless
    with pytest.raises(FetchFailed, match="larger"):
        await get(caller(origin), origin.url + "/a")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip"])
async def test_a_compressed_body_is_never_unpacked(origin: Origin, encoding: str) -> None:
    origin.answers["/a"] = reply(bytes(1000), Content_Encoding=encoding)
    with pytest.raises(FetchFailed, match="compressed"):
        await get(caller(origin), origin.url + "/a")


async def test_huge_headers_are_refused(origin: Origin) -> None:
    async def verbose(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Padding: " + b"x" * 8000 + b"\r\n")
            await writer.drain()

    origin.answers["/a"] = verbose
    with pytest.raises(FetchFailed, match="HTTP"):
        await get(caller(origin), origin.url + "/a")


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"\x00" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"]
)
async def test_what_is_no_http_is_refused(origin: Origin, said: bytes) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    origin.answers["/a"] = answer
    with pytest.raises(FetchFailed):
        await get(caller(origin), origin.url + "/a")


async def test_a_body_that_is_cut_short_is_no_whole_one(origin: Origin) -> None:
    origin.answers["/a"] = reply(b"half", Content_Length="8")
    with pytest.raises(FetchFailed, match="broke off"):
        await get(caller(origin), origin.url + "/a")


@pytest.mark.parametrize(
    "status", ["404 Not Found", "401 Unauthorized", "500 Oops", "204 No Content", "304 Not Modified"]
)
async def test_another_status_is_told(origin: Origin, status: str) -> None:
    origin.answers["/a"] = reply(b"", status=status)
    with pytest.raises(FetchFailed, match=status[:3]):
        await get(caller(origin), origin.url + "/a")


async def test_a_part_is_asked_for_and_nothing_else_is_taken(origin: Origin) -> None:
    origin.answers["/a"] = reply(b"part", status="206 Partial Content")
    assert await get(caller(origin), origin.url + "/a", span=(10, 13)) == b"part"
    assert "Range: bytes=10-13" in origin.asked[0]
    origin.answers["/a"] = reply(b"whole")
    with pytest.raises(FetchFailed):
        await get(caller(origin), origin.url + "/a", span=(10, 13))


async def test_where_nothing_listens_nothing_is_had(origin: Origin) -> None:
    with pytest.raises(FetchFailed, match="reached"):
        await get(caller(origin), f"http://127.0.0.2:{origin.port}/a")
