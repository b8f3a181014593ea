"""Rules: which URLs may be fetched, as far as that can be told before a name is resolved, and which addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import httpx

from scribewire.errors import FetchRefused
from scribewire.gateway.fetching.addresses import Ip, may_call
from scribewire.settings import FetchSettings

_MAX_URL_CHARACTERS: Final = 4096
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# Resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as IPv4 addresses: whatever ends in a number must be a plain one.
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that may be asked for once its host, if that is a name, turns out to lead to an address that may."""

    url: httpx.URL
    host: str
    port: int
    address: Ip | None


class Rules:
    """The settings, as questions. The one parser of URLs here is that of the HTTP client itself."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings

    def check(self, text: str, base: httpx.URL | None = None) -> Place:
        """Read a URL, which may be relative to `base`. Raises FetchRefused."""
        url = _parse(text, base)
        if url.scheme not in self._settings.schemes:
            raise FetchRefused(f"Only these schemes may be fetched: {', '.join(self._settings.schemes)}.")
        if url.userinfo:
            raise FetchRefused("A URL with a user or a password in it is not fetched.")
        host = url.raw_host.decode("ascii")
        address = _read_host(host)
        port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if not self._lists(host) or port not in self._settings.ports:
            raise FetchRefused("This host and port are not among those that may be fetched from.")
        return Place(url, host, port, address)

    def may_call(self, address: Ip) -> bool:
        """Say whether an address may be called."""
        return may_call(address, private=self._settings.private)

    def _lists(self, host: str) -> bool:
        return any(
            pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
            for pattern in map(str.lower, self._settings.hosts)
        )


def _parse(text: str, base: httpx.URL | None) -> httpx.URL:
    try:
        if len(text) > _MAX_URL_CHARACTERS or "\\" in text:
            raise FetchRefused("The URL is not valid.")
        url = base.join(text) if base is not None else httpx.URL(text)
        return url.copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError) as error:  # ValueError: what the parsers under it make of some hosts
        raise FetchRefused("The URL is not valid.") from error


def _read_host(host: str) -> Ip | None:
    """Give the address that a host is, None for a name. Raises FetchRefused when it is neither, or oddly spelled."""
    try:
        if ":" in host and "%" not in host:  # a zone is for this machine to choose
            return IPv6Address(host)
        if _NUMBER.fullmatch(host):
            return IPv4Address(host)
    except ValueError as error:
        raise FetchRefused("The URL's address is not plainly written.") from error
    if not _NAME.fullmatch(host):
        raise FetchRefused("The URL's host is not plainly written.")
    return None
