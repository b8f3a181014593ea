"""Addresses of workers, read."""

from __future__ import annotations

import pytest

from scribewire.errors import BadSettings
from scribewire.scalers.base import TcpAddress, UnixAddress, parse_address


def test_addresses_of_both_kinds_are_read() -> None:
    assert parse_address("unix:/run/a:b.sock") == UnixAddress("/run/a:b.sock")
    assert parse_address("tcp:worker.example:9000") == TcpAddress("worker.example", 9000)
    assert parse_address("tcp:[::1]:9000") == TcpAddress("::1", 9000)


@pytest.mark.parametrize("text", ["", "unix:", "tcp:", "tcp:host", "tcp::9000", "tcp:host:0", "tcp:host:x", "http:a:1"])
def test_anything_else_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(BadSettings, match="not the address of a worker"):
        parse_address(text)
