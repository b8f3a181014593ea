"""A synthetic day has the sessions, the peak and the lengths that were asked for."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest

from scribewire.bench.day import DAY_S, Day, arrivals_of

DAY = Day(sessions=20_000, peak_hour=14.0, mean_minutes=6.0, seed=1)


def test_a_day_has_about_as_many_sessions_of_about_that_length() -> None:
    arrivals = arrivals_of(DAY)
    assert len(arrivals) == pytest.approx(20_000, rel=0.03)
    assert fmean(arrival.length_s for arrival in arrivals) == pytest.approx(360.0, rel=0.03)


def test_they_come_in_order_within_the_day() -> None:
    times = [arrival.at_s for arrival in arrivals_of(replace(DAY, peak_hour=23.9))]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < DAY_S


def test_most_come_around_the_peak() -> None:
    times = [arrival.at_s for arrival in arrivals_of(DAY)]
    by_day = sum(11 <= at / 3600 < 17 for at in times)
    by_night = sum(at / 3600 < 5 or at / 3600 >= 23 for at in times)
    assert by_day > 10 * by_night > 0


def test_some_come_in_bursts() -> None:
    busiest = 0
    times = [arrival.at_s for arrival in arrivals_of(replace(DAY, sessions=500))]
    for first, at in enumerate(times):
        busiest = max(busiest, sum(at <= other < at + 120 for other in times[first : first + 50]))
    assert busiest > 10  # evenly spread, two minutes of the peak have two


def test_a_seed_is_a_day() -> None:
    assert arrivals_of(DAY) == arrivals_of(DAY)
    assert arrivals_of(replace(DAY, seed=2)) != arrivals_of(DAY)
