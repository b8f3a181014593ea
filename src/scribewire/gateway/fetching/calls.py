"""Calls: HTTP requests that go to the very address that was checked, by rules that every redirect meets anew."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from typing import Final

import httpx

from scribewire import __version__
from scribewire.errors import FetchFailed, FetchRefused, ScribewireError
from scribewire.gateway.fetching.rules import Place, Rules
from scribewire.gateway.tasks import within

# Gives the addresses of a host; raises OSError when it has none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_MAX_REDIRECTS: Final = 5
_MAX_ADDRESSES: Final = 4
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WAIT_S: Final = 10.0  # for a connection, and for each next part of an answer until the session's own bounds count


# Apart from the loop's own, where names of ours are looked up too: a client chooses these, and some take their time.
_LOOKUPS: Final = ThreadPoolExecutor(4, thread_name_prefix="lookup")


class Answer:
    """What a server sends. Its body may be read once."""

    def __init__(self, url: httpx.URL, response: httpx.Response, budget: Budget) -> None:
        self.url = url
        self.status = response.status_code
        self.type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.endless = "content-length" not in response.headers or "icy-name" in response.headers
        self._response = response
        self._budget = budget

    async def blocks(self) -> AsyncIterator[bytes]:
        """Give the body as it comes. Raises FetchFailed when it breaks off or the budget is spent."""
        with _said_plainly():
            async for block in self._response.aiter_raw():
                self._budget.spend(len(block))
                yield block

    async def text(self, most_bytes: int) -> str:
        """Give a whole short body. Raises FetchFailed, also when it is longer than that."""
        body = bytearray()
        async for block in self.blocks():
            body += block
            if len(body) > most_bytes:
                raise FetchFailed("The source's playlist is too long.")
        return body.decode("utf-8", "replace")


class Budget:
    """How many bytes a session may still fetch."""

    def __init__(self, most_bytes: int) -> None:
        self._left_bytes = most_bytes

    def spend(self, count: int) -> None:
        """Count bytes. Raises FetchFailed when they are more than there may be."""
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise FetchFailed("The source is larger than may be fetched.")


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, ask)
    return [str(address[0]) for *_, address in found]


class Caller:
    """One session's HTTP client: no proxies, no cookies, no compression, no connection used twice."""

    def __init__(self, rules: Rules, *, most_bytes: int, tls: ssl.SSLContext, resolve: Resolve = resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        self._budget = Budget(most_bytes)
        # Kept connections are known by their address, and two names may share one: none is kept.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits)

    async def close(self) -> None:
        """Break off what is open."""
        await self._transport.aclose()

    @asynccontextmanager
    async def open(
        self, url: str, base: httpx.URL | None = None, *, span: tuple[int, int] | None = None
    ) -> AsyncIterator[Answer]:
        """Ask for a URL, or for the bytes `span` of it, first and last; follow redirects.

        Raises FetchRefused where the rules forbid it, and FetchFailed.
        """
        place = self._rules.check(url, base)
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._ask(place, span)
            try:
                if response.status_code not in _REDIRECTS:
                    _check(response, span)
                    yield Answer(place.url, response, self._budget)
                    return
                place = self._rules.check(response.headers.get("location", ""), place.url)
            finally:
                with suppress(httpx.TransportError):
                    await response.aclose()
        raise FetchFailed("The source redirects too often.")

    async def _ask(self, place: Place, span: tuple[int, int] | None) -> httpx.Response:
        headers = {
            "Host": place.url.netloc.decode("ascii"),
            "User-Agent": f"scribewire/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        if span is not None:
            headers["Range"] = f"bytes={span[0]}-{span[1]}"
        extensions = {
            "sni_hostname": place.host,  # by this name the certificate is checked, too
            "timeout": {"connect": _WAIT_S, "read": None, "write": _WAIT_S, "pool": _WAIT_S},
        }
        unreached: httpx.TransportError | None = None
        for address in await self._addresses(place):
            # The address takes the host's place in the URL: the client has no name to resolve a second time.
            url = place.url.copy_with(host=address)
            request = httpx.Request("GET", url, headers=headers, extensions=extensions)
            try:
                return await within(2 * _WAIT_S, self._transport.handle_async_request(request))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreached = error
            except (httpx.TransportError, TimeoutError) as error:
                raise FetchFailed("The source does not answer in HTTP.") from error
        raise FetchFailed("The source cannot be reached.") from unreached

    async def _addresses(self, place: Place) -> list[str]:
        """Give those addresses of a host that may be called."""
        if place.address is not None:
            found = [place.address]
        else:
            try:
                names = await within(_WAIT_S, self._resolve(place.host, place.port))
                found = [ip_address(name) for name in names]
            except (OSError, ValueError, TimeoutError) as error:
                raise _no_address() from error
        allowed = dict.fromkeys(str(address) for address in found if self._rules.may_call(address))
        if not allowed:
            raise _no_address()
        return list(allowed)[:_MAX_ADDRESSES]


def _no_address() -> ScribewireError:
    # The same for a name that leads nowhere and one that leads inside: which names there are inside is not told.
    return FetchRefused("The host has no address that may be fetched from.")


def _check(response: httpx.Response, span: tuple[int, int] | None) -> None:
    wanted = 200 if span is None else 206
    if response.status_code != wanted:
        raise FetchFailed(f"The source answered with HTTP status {response.status_code}.")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchFailed("The source is compressed, though that was not asked for.")


@contextmanager
def _said_plainly() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise FetchFailed("The source broke off.") from error
