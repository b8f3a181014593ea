"""Where a worker listens."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable

from scribewire.errors import BadSettings


def is_tcp(listen: str) -> bool:
    """Say whether an address, `unix:<path>` or `tcp:<host>:<port>`, can be reached from elsewhere.

    Raises BadSettings when it is neither.
    """
    kind, _, rest = listen.partition(":")
    if kind == "unix" and rest:
        return False
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isdecimal():
        return True
    raise BadSettings(f"{listen!r} is not an address to listen on: use unix:<path> or tcp:<host>:<port>.")


def needs_secret(listen: str) -> bool:
    """Say whether others than this machine's own programs can call there. Raises BadSettings as `is_tcp`."""
    if not is_tcp(listen):
        return False
    host = _host_and_port(listen)[0]
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


async def start_listening(
    listen: str, protocol: Callable[[], asyncio.Protocol], *, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Listen there, on TCP with TLS where it is given. Raises BadSettings when that cannot be."""
    loop = asyncio.get_running_loop()
    try:
        if not is_tcp(listen):
            return await loop.create_unix_server(protocol, listen.partition(":")[2])
        return await loop.create_server(protocol, *_host_and_port(listen), ssl=tls)
    except OSError as error:
        raise BadSettings(f"The worker cannot listen on {listen} ({error.strerror}).") from error


def _host_and_port(listen: str) -> tuple[str, int]:
    host, _, port = listen.partition(":")[2].rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
