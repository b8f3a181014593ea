"""Proxies: whose word counts for the caller's address and the URL that it used."""

from __future__ import annotations

from typing import Any

import pytest

from scribewire.errors import BadSettings
from scribewire.gateway.proxies import Proxies

PROXIES = Proxies(["10.0.0.0/8", "::1", "192.0.2.7"])


def scope_of(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> dict[str, Any]:
    return {
        "client": (peer, 5000) if peer else None,
        "server": ("127.0.0.1", 8000),
        "scheme": scheme,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


def forwarded_for(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple(("x-forwarded-for", value) for value in values)


@pytest.mark.parametrize(
    ("peer", "values", "address"),
    [
        ("203.0.113.1", (), "203.0.113.1"),
        ("203.0.113.1", ("198.51.100.1",), "203.0.113.1"),  # nobody we trust
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("6.6.6.6, 198.51.100.1",), "198.51.100.1"),  # the first was the caller's own word
        ("10.0.0.1", ("6.6.6.6, 198.51.100.1, 10.9.9.9",), "198.51.100.1"),
        ("10.0.0.1", ("6.6.6.6", "198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("nonsense, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("::1", ("[2001:db8::1]:4711",), "2001:db8::1"),
        ("::1", ("2001:db8::1",), "2001:db8::1"),
        ("::ffff:10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        (None, ("198.51.100.1",), ""),
    ],
)
def test_the_callers_address_is_the_last_that_is_vouched_for(
    peer: str | None, values: tuple[str, ...], address: str
) -> None:
    assert PROXIES.address_of(scope_of(peer, *forwarded_for(*values))) == address


@pytest.mark.parametrize(
    ("peer", "headers", "scheme", "base"),
    [
        ("203.0.113.1", {"host": "a.example"}, "http", "ws://a.example"),
        ("203.0.113.1", {"host": "a.example:8000"}, "https", "wss://a.example:8000"),
        ("203.0.113.1", {"host": "[2001:db8::1]:80"}, "http", "ws://[2001:db8::1]:80"),
        ("203.0.113.1", {}, "http", "ws://127.0.0.1:8000"),
        ("203.0.113.1", {"host": 'a"b'}, "http", "ws://127.0.0.1:8000"),
        ("203.0.113.1", {"host": "a", "x-forwarded-proto": "https", "x-forwarded-host": "b"}, "http", "ws://a"),
        ("10.0.0.1", {"host": "a", "x-forwarded-proto": "https", "x-forwarded-host": "b"}, "http", "wss://b"),
        ("10.0.0.1", {"host": "a", "x-forwarded-proto": "HTTPS, http"}, "http", "wss://a"),
        ("10.0.0.1", {"host": "a", "x-forwarded-host": "b, c"}, "https", "wss://b"),
        ("10.0.0.1", {"host": "a", "x-forwarded-proto": "gopher"}, "http", "ws://a"),
    ],
)
def test_the_endpoint_is_on_the_host_by_which_the_caller_called(
    peer: str, headers: dict[str, str], scheme: str, base: str
) -> None:
    assert PROXIES.endpoint(scope_of(peer, *headers.items(), scheme=scheme), "") == f"{base}/v2/realtime"


def test_an_ipv6_listener_is_bracketed_when_no_host_is_said() -> None:
    scope = scope_of("203.0.113.1") | {"server": ("::1", 8000)}
    assert PROXIES.endpoint(scope, "") == "ws://[::1]:8000/v2/realtime"


def test_the_public_url_goes_before_all() -> None:
    scope = scope_of("10.0.0.1", ("x-forwarded-host", "b"))
    assert PROXIES.endpoint(scope, "wss://public.example/speech") == "wss://public.example/speech/v2/realtime"


def test_a_trusted_proxy_that_is_no_address_is_refused_by_the_name_of_the_setting() -> None:
    with pytest.raises(BadSettings, match=r"^server\.trusted_proxies is not valid: .*'proxy'.*\.$"):
        Proxies(["proxy"])
