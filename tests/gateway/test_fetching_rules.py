"""Which URLs and addresses may be fetched from."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from scribewire.errors import FetchRefused
from scribewire.gateway.fetching.addresses import may_call
from scribewire.gateway.fetching.rules import Rules
from scribewire.settings import FetchSettings


def rules(**settings: Any) -> Rules:
    given = {"schemes": ("https", "http"), "hosts": ("*",), "ports": (80, 443, 8000)} | settings
    return Rules(FetchSettings(**given))


@pytest.mark.parametrize("text", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_public_address_may_be_called(text: str) -> None:
    assert may_call(ip_address(text), private=False)
    assert may_call(ip_address(text), private=True)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.8.9.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fd12::1",
    ],
)
def test_a_private_address_may_be_called_only_where_that_is_set(text: str) -> None:
    assert not may_call(ip_address(text), private=False)
    assert may_call(ip_address(text), private=True)


@pytest.mark.parametrize(
    "text",
    [
        # where clouds keep a machine's secrets
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe"),
        # unspecified, this network, broadcast, multicast, reserved, documentation, benchmarks
        *("0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1", "192.88.99.1"),
        *("::", "ff02::1", "2001:db8::1", "fec0::1", "100::1", "5f00::1", "4000::1"),
        # IPv6 for IPv4: compatible, mapped, translated, NAT64, local NAT64, Teredo, 6to4
        *(
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
        ),
        *("64:ff9b:1::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2002:7f00:1::", "2002:808:808::1"),
        "fe80::1%eth0",
    ],
)
def test_other_addresses_may_never_be_called(text: str) -> None:
    assert not may_call(ip_address(text), private=False)
    assert not may_call(ip_address(text), private=True)


@pytest.mark.parametrize(
    "url",
    [
        *("", "no url", "/only/a/path", "//example.org/x", "https:", "https://", "https:///x", "example.org/x.mp3"),
        # other schemes, and what libav would make of them
        *(
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "concat:/etc/passwd",
            "ftp://example.org/x",
            "gopher://example.org",
        ),
        *("subfile:,,start,0,end,9,,:/etc/passwd", "data:audio/mp3;base64,AA", "rtmp://example.org/x", "pipe:0"),
        *("crypto+https://example.org/x", "hls+http://example.org/x", "icecast://example.org/x", "javascript:0"),
        # users and passwords, and hosts that only look like one
        *("https://user@example.org/", "https://user:secret@example.org/", "https://example.org@127.0.0.1/"),
        *("https://example.org:80@127.0.0.1/", "https://:@example.org/", "https://127.0.0.1\\@example.org/"),
        *("https://example.org\\@127.0.0.1/", "https://example.org%40127.0.0.1/", "https://[::1]@example.org/"),
        # IPv4 as only resolvers read it
        *("http://2130706433/", "http://017700000001/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://127.1/"),
        *("http://0177.0.0.1/", "http://127.0.0.01/", "http://0/", "http://127.0.0.1.0x0/", "http://300.1.1.1/"),
        *("http://foo.0/", "http://1.2.3.4.5/", "http://0X7F.1/", "http://8.8.08.8/"),
        # other spellings of a host
        *(
            "http://127%2e0.0.1/",
            "http://%6c%6f%63%61%6c/",
            "http://example.org./",
            "http://127.0.0.1./",
            "http://.org/",
        ),
        *(
            "http://exa mple.org/",
            "http://example..org/",
            "http://exämple.org%00/",
            "http://-a.org/",
            "http://a_-.org/",
        ),
        *(
            "http://１２７.0.0.1/",
            "http://ⓛocalhost:99/",
            "http://example.org\t/",
            "http://a\r\n.org/",
        ),
        *("http://[::1/", "http://[::1%25eth0]/", "http://[fe80::1%25lo]/", "http://[v1.x]/", "http://[::ffff:1]x/"),
        *("http://[::127.0.0.1.1]/", "http://::1/", "http://[]/", "http://[127.0.0.1]/"),
        # ports
        *("http://example.org:22/", "http://example.org:0/", "http://example.org:99999/", "http://example.org:-80/"),
        *("http://example.org:8x/", "http://example.org:8 0/", "https://example.org:80:80/"),
        "https://example.org/" + "x" * 5000,
    ],
)
def test_what_is_no_plain_url_of_a_scheme_and_port_that_are_allowed_is_refused(url: str) -> None:
    with pytest.raises(FetchRefused):
        rules().check(url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.org/a?b=c#d", "example.org", 443),
        ("HTTP://Example.ORG:8000", "example.org", 8000),
        ("http://93.184.215.14/", "93.184.215.14", 80),
        ("https://[2606:2800::1]/", "2606:2800::1", 443),
        ("https://bücher.example/", "xn--bcher-kva.example", 443),
        ("https://example.org/a%2Fb?x=%2e", "example.org", 443),
    ],
)
def test_a_plain_url_is_taken_apart(url: str, host: str, port: int) -> None:
    place = rules().check(url)
    assert (place.host, place.port) == (host, port)
    assert place.url.fragment == ""
    assert (place.address is None) == host.endswith(("org", "example"))


@pytest.mark.parametrize(
    ("host", "listed"),
    [
        ("radio.example", True),
        ("RADIO.example", True),
        ("a.cdn.example", True),
        ("a.b.cdn.example", True),
        ("93.184.215.14", True),
        ("cdn.example", False),
        ("evilcdn.example", False),
        ("radio.example.evil.example", False),
        ("xradio.example", False),
        ("8.8.8.8", False),
    ],
)
def test_a_host_must_be_listed_by_name_or_by_suffix(host: str, listed: bool) -> None:
    chosen = rules(hosts=("Radio.example", "*.cdn.example", "93.184.215.14"))
    if listed:
        chosen.check(f"https://{host}/")
    else:
        with pytest.raises(FetchRefused):
            chosen.check(f"https://{host}/")


def test_a_host_in_other_letters_is_the_host_that_the_client_would_call() -> None:
    assert rules().check("http://127。0。0。1/").address == ip_address("127.0.0.1")


def test_nothing_is_listed_unless_it_is_set() -> None:
    with pytest.raises(FetchRefused):
        Rules(FetchSettings(enabled=True)).check("https://example.org/")


def test_only_https_is_fetched_unless_it_is_set() -> None:
    with pytest.raises(FetchRefused, match="https"):
        Rules(FetchSettings(hosts=("*",))).check("http://example.org/")


@pytest.mark.parametrize(
    "reference",
    ["file:///etc/passwd", "http://user@example.org/", "//user@example.org/x", "concat:a|b", "//0x7f.1/", "ftp:x"],
)
def test_what_a_page_refers_to_is_checked_like_a_url(reference: str) -> None:
    with pytest.raises(FetchRefused):
        rules().check(reference, httpx.URL("https://example.org/live/index.m3u8"))


def test_a_relative_reference_is_joined() -> None:
    base = httpx.URL("https://example.org/live/index.m3u8?x=1")
    assert str(rules().check("../a/1.ts", base).url) == "https://example.org/a/1.ts"
    assert rules().check("//other.example/1.ts", base).host == "other.example"
