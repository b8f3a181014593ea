"""The static scaler shows what is configured and leaves it alone."""

from __future__ import annotations

import pytest

from scribewire.errors import BadSettings
from scribewire.scalers.base import Phase, Sighting
from scribewire.scalers.static import StaticScaler


async def test_every_address_is_a_running_worker_whatever_is_asked() -> None:
    scaler = StaticScaler(["unix:/run/one.sock", "tcp:two.example:9000"])
    await scaler.scale(0, victims=["w1"])
    await scaler.close()
    assert await scaler.observe() == [
        Sighting("w1", Phase.RUNNING, "unix:/run/one.sock"),
        Sighting("w2", Phase.RUNNING, "tcp:two.example:9000"),
    ]


@pytest.mark.parametrize("addresses", [[], ["unix:/run/one.sock", "elsewhere"]])
def test_missing_or_unreadable_addresses_are_refused_at_the_start(addresses: list[str]) -> None:
    with pytest.raises(BadSettings):
        StaticScaler(addresses)
