"""Rate limits: how many calls a minute a key and an address may make."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from scribewire.errors import RateLimited
from scribewire.settings import LimitSettings

# Some 2 MiB; past it the caller who was silent longest is forgotten, and so begins anew.
MAX_CALLERS: Final = 10_000
# An IPv6 host is given this much of the address space, and would have an address for every call.
_IPV6_HOST_BITS: Final = 64
_MINUTE_S: Final = 60.0
_ROUNDING: Final = 1e-3  # share of an interval that the sum of a minute's may be off


class Buckets:
    """One token bucket a caller, of a minute's calls, each kept as the one instant at which it is full again."""

    def __init__(self, calls_per_minute: int) -> None:
        self._interval_s = _MINUTE_S / calls_per_minute
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_s(self, caller: str, now: float) -> float:
        """Give how long the caller must wait for its next call; 0 when it need not."""
        full_at = max(self._full_at.get(caller, now), now)
        wait_s = full_at + self._interval_s - now - _MINUTE_S
        return wait_s if wait_s > self._interval_s * _ROUNDING else 0.0

    def take(self, caller: str, now: float) -> float:
        """Count a call unless it must wait. Gives the wait."""
        wait_s = self.wait_s(caller, now)
        if wait_s == 0:
            self._full_at[caller] = max(self._full_at.get(caller, now), now) + self._interval_s
            self._full_at.move_to_end(caller)
            if len(self._full_at) > MAX_CALLERS:
                self._full_at.popitem(last=False)
        return wait_s


class RateLimits:
    """The limits of one gateway. Upgrades that are accepted count for nothing: who reconnects is never throttled."""

    def __init__(self, settings: LimitSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_key = Buckets(settings.calls_per_minute_per_key)
        self._by_address = Buckets(settings.calls_per_minute_per_address)
        # Apart from the calls, so that many calls from behind one address do not keep its sessions out.
        self._refusals = Buckets(settings.calls_per_minute_per_address)

    def count_call(self, address: str) -> None:
        """Count a REST call of an address, before anything else is done for it. Raises RateLimited."""
        _refuse(self._by_address.take(_host(address), self._clock()))

    def count_call_of_key(self, key_id: str) -> None:
        """Count a REST call of a key. Raises RateLimited."""
        _refuse(self._by_key.take(key_id, self._clock()))

    def count_refusal(self, address: str) -> None:
        """Count a refused upgrade of an address. Raises RateLimited when it had too many."""
        _refuse(self._refusals.take(_host(address), self._clock()))


def _refuse(wait_s: float) -> None:
    if wait_s > 0:
        raise RateLimited(retry_after_s=math.ceil(wait_s))


def _host(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address  # a Unix socket, or what a test calls its peer
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, _IPV6_HOST_BITS), strict=False))
