"""Addresses: which of them the service may call on somebody else's behalf."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

Ip = IPv4Address | IPv6Address

# Where clouds tell a machine its secrets. Most are link-local or private; these are refused even where those are not.
_METADATA: Final = frozenset(
    map(
        ip_address,
        ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    )
)
# RFC 1918, RFC 6598, RFC 4193 and loopback: what a setting may open.
_PRIVATE: Final = tuple(
    map(
        ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"),
    )
)
# IPv6 that stands for an IPv4 address, which may be any: compatible, mapped, translated (RFC 2765), NAT64 (RFC 6052 and
# 8215), Teredo (RFC 4380), 6to4 (RFC 3056) and the relays to it (RFC 7526).
_CARRIERS: Final = tuple(
    map(
        ip_network,
        (
            "::/96",
            "::ffff:0:0/96",
            "::ffff:0:0:0/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2001::/32",
            "2002::/16",
            "192.88.99.0/24",
        ),
    )
)
_GLOBAL_UNICAST: Final = ip_network("2000::/3")  # all of IPv6 that is given out to anybody


def may_call(address: Ip, *, private: bool) -> bool:
    """Say whether an address is one of the public internet, or with `private` of a network behind it."""
    if address in _METADATA:
        return False
    if any(address in network for network in _PRIVATE):
        return private
    if any(address in network for network in _CARRIERS) or address.is_multicast or address.is_reserved:
        return False
    return address.is_global and (isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST)
