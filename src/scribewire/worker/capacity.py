"""How many streams a worker takes: from what a second of speech costs it, revised by what it is seen to cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Past this share of the cores the queue runs away.
USABLE_SHARE: Final = 0.85
# Audio that waits this long for a decoder means that the cores are not really there: no new streams, whatever is free.
LAG_LIMIT_S: Final = 1.0
# How much decoded audio outweighs the past: a minute of one stream, a few seconds of a full worker.
MEMORY_S: Final = 60.0
# A cost below this is not measured but noise.
LEAST_RTF: Final = 1e-4


@dataclass(slots=True)
class _Cost:
    cpu_s: float
    audio_s: float

    @property
    def rtf(self) -> float:
        return max(LEAST_RTF, self.cpu_s / self.audio_s)


class Capacity:
    """The account of one worker. RTF is CPU seconds a second of speech; `default` is the choice that slots count in.

    `second_passes` names the choice that hears the finals of another once more: a stream costs what both cost.
    """

    def __init__(
        self, *, cores: float, default: str, fixed_slots: int = 0, second_passes: Mapping[str, str] | None = None
    ) -> None:
        self._usable = USABLE_SHARE * cores
        self._default = default
        self._fixed_slots = fixed_slots
        self._second_passes = second_passes or {}
        self._costs: dict[str, _Cost] = {}

    def measured(self, choice: str, rtf: float) -> None:
        """Begin the account of a choice with a measurement."""
        self._costs[choice] = _Cost(rtf * MEMORY_S, MEMORY_S)

    def spent(self, choice: str, *, cpu_s: float, audio_s: float) -> None:
        """Revise the cost of a choice by what was decoded with it."""
        cost = self._costs.get(choice)
        if cost is not None:
            keep = MEMORY_S / (MEMORY_S + audio_s)
            cost.cpu_s = (cost.cpu_s + cpu_s) * keep
            cost.audio_s = (cost.audio_s + audio_s) * keep

    def rtf(self, choice: str | None = None) -> float:
        """Give the cost of a choice, the default one's where it is not known."""
        choice = choice if choice in self._costs else self._default
        passes = [choice, self._second_passes.get(choice, "")]
        return sum(self._costs[each].rtf for each in passes if each in self._costs)

    def slots(self, live: Mapping[str, int]) -> int:
        """Give the live streams and as many more of the default choice as there is room for; at least 1."""
        if self._fixed_slots:
            return self._fixed_slots
        rtf = self.rtf()
        if not rtf:
            return 0
        room = max(0.0, self._usable - self._load(live))
        return max(1, sum(live.values()) + math.floor(room / rtf + 1e-9))

    def admits(self, choice: str, live: Mapping[str, int], *, lag_s: float) -> bool:
        """Say whether one more stream of a choice may come."""
        count = sum(live.values())
        if lag_s > LAG_LIMIT_S:
            return False
        if self._fixed_slots:
            return count < self._fixed_slots
        return count == 0 or self._load(live) + self.rtf(choice) <= self._usable + 1e-9

    def _load(self, live: Mapping[str, int]) -> float:
        return sum(self.rtf(choice) * count for choice, count in live.items())
