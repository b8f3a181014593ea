"""A synthetic day: when sessions begin and how long they last, the same for the same seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

from scribewire.core.simulation import Arrival

DAY_S: Final = 86_400.0
# How much busier the peak is than the night: exp(2 × 1.8) is 37 times.
_CONCENTRATION: Final = 1.8
# Talks vary widely: with this spread of the logarithm one in twenty is more than three times as long as the mean.
_SPREAD: Final = 0.9
# A lecture begins, a call queue opens: one session in six belongs to a burst.
_BURST_SHARE: Final = 1 / 6
_BURST_SESSIONS: Final = 25
_BURST_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What the day is like. `sessions` and `mean_minutes` are expected values; `peak_hour` may lie between hours."""

    sessions: int
    peak_hour: float
    mean_minutes: float
    seed: int


def arrivals_of(day: Day) -> list[Arrival]:
    """Draw the day's sessions, the first first: a Poisson process around the peak, with bursts, and log-normal lengths.

    Given how many they are, the arrivals of such a process are independent of each other, so each is drawn by itself.
    """
    dice = random.Random(day.seed)  # noqa: S311 # a simulation, not a secret
    bursts = [_moment(dice, day) for _ in range(math.ceil(day.sessions * _BURST_SHARE / _BURST_SESSIONS))]
    mean_log = math.log(60 * day.mean_minutes) - _SPREAD**2 / 2
    drawn = []
    for _ in range(_poisson(dice, day.sessions)):
        in_burst = dice.random() < _BURST_SHARE
        at_s = dice.choice(bursts) + dice.random() * _BURST_S if in_burst else _moment(dice, day)
        drawn.append(Arrival(at_s % DAY_S, dice.lognormvariate(mean_log, _SPREAD)))
    return sorted(drawn, key=lambda arrival: arrival.at_s)


def _moment(dice: random.Random, day: Day) -> float:
    """Draw a time of day: von Mises around the peak, for a day has no ends."""
    angle = dice.vonmisesvariate(0.0, _CONCENTRATION)
    return (day.peak_hour * 3600 + angle / math.tau * DAY_S) % DAY_S


def _poisson(dice: random.Random, mean: float) -> int:
    """Draw a count: how many gaps of a process of rate 1 fit."""
    count, at = 0, dice.expovariate(1.0)
    while at < mean:
        count, at = count + 1, at + dice.expovariate(1.0)
    return count
