"""The static scaler: workers that somebody else runs, at configured addresses."""

from __future__ import annotations

from collections.abc import Sequence

from scribewire.errors import BadSettings
from scribewire.scalers.base import Phase, Scaler, Sighting, parse_address


class StaticScaler(Scaler):
    """Observes the workers at `addresses`, and leaves their number alone.

    Raises BadSettings when there is no address, or one that cannot be read.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        if not addresses:
            raise BadSettings("scaler.addresses must name at least one worker when scaler.kind is static.")
        for address in addresses:
            parse_address(address)
        self._sightings = [
            Sighting(f"w{number}", Phase.RUNNING, address) for number, address in enumerate(addresses, start=1)
        ]

    async def scale(self, count: int, *, victims: Sequence[str] = ()) -> None:
        """Do nothing: they are not ours."""

    async def observe(self) -> list[Sighting]:
        """Give all of them as running; whether they answer is what the link says."""
        return list(self._sightings)

    async def close(self) -> None:
        """Do nothing: they outlive us."""
