"""Proxies: who really calls, and by which URL, when proxies that are trusted stand between."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from scribewire.errors import BadSettings

_REALTIME_PATH: Final = "/v2/realtime"
# A name, an IPv4 address or a bracketed IPv6 address, and a port (RFC 9110 section 7.2).
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_SECURE: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The proxies whose X-Forwarded-* headers are believed."""

    def __init__(self, trusted: Iterable[str]) -> None:
        try:
            self._networks = [ipaddress.ip_network(network, strict=False) for network in trusted]
        except ValueError as error:
            raise BadSettings(f"server.trusted_proxies is not valid: {error}.") from error

    def address_of(self, scope: Mapping[str, Any]) -> str:
        """Give the address of an ASGI request's caller: the last that a trusted proxy vouches for."""
        address = _peer(scope)
        if not self._trusts(address):
            return address
        for hop in reversed(_header(scope, b"x-forwarded-for").split(",")):
            ip = _read_ip(hop)
            if ip is None:
                break
            address = str(ip)
            if not self._trusts(address):
                break
        return address

    def endpoint(self, scope: Mapping[str, Any], public_url: str) -> str:
        """Give the WebSocket URL that a caller is told: the public one, else on the host by which it called."""
        if public_url:
            return public_url + _REALTIME_PATH
        scheme, host = str(scope["scheme"]), _header(scope, b"host")
        if self._trusts(_peer(scope)):
            # The first of several is what the caller's own proxy saw.
            scheme = _header(scope, b"x-forwarded-proto").split(",")[0].strip().lower() or scheme
            host = _header(scope, b"x-forwarded-host").split(",")[0].strip() or host
        if not _HOST.fullmatch(host):
            name, port = scope.get("server") or ("localhost", None)
            name = f"[{name}]" if ":" in name else name
            host = f"{name}:{port}" if port else name
        return f"{_SECURE.get(scheme, 'ws')}://{host}{_REALTIME_PATH}"

    def _trusts(self, address: str) -> bool:
        ip = _read_ip(address)
        return ip is not None and any(ip in network for network in self._networks)


def _peer(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _header(scope: Mapping[str, Any], name: bytes) -> str:
    return b",".join(value for key, value in scope["headers"] if key == name).decode("latin-1")


def _read_ip(text: str) -> _Ip | None:
    """Read an address as proxies write it, with or without a port; IPv4 in IPv6 is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip
