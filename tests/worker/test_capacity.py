"""How many streams a worker takes."""

from __future__ import annotations

from collections import Counter

import pytest

from scribewire.worker.capacity import Capacity


def capacity(*, cores: float = 1.0, fixed_slots: int = 0) -> Capacity:
    made = Capacity(cores=cores, default="fast", fixed_slots=fixed_slots)
    made.measured("fast", 0.07)
    made.measured("quality", 0.14)
    return made


def test_slots_are_what_fits_into_most_of_the_cores() -> None:
    assert capacity().slots({}) == 12
    assert capacity(cores=2).slots({}) == 24


def test_there_is_always_one_slot() -> None:
    made = capacity()
    made.measured("fast", 3.0)
    assert made.slots({}) == 1
    assert made.admits("fast", {}, lag_s=0.0)


def test_nothing_is_offered_before_the_measurement() -> None:
    assert Capacity(cores=1, default="fast").slots({}) == 0


def test_a_costly_stream_takes_more_room() -> None:
    made = capacity()
    live = Counter(quality=3)
    assert made.slots(live) == 3 + 6
    assert made.admits("quality", live, lag_s=0.0)
    assert not made.admits("quality", Counter(quality=5, fast=1), lag_s=0.0)
    assert made.admits("fast", Counter(quality=5, fast=1), lag_s=0.0)


def test_a_stream_with_a_second_pass_costs_what_both_cost() -> None:
    made = Capacity(cores=1, default="fast", second_passes={"fast": "quality"})
    made.measured("fast", 0.07)
    assert made.slots({}) == 12
    made.measured("quality", 0.14)
    assert made.rtf() == pytest.approx(0.21)
    assert made.slots({}) == 4
    assert made.rtf("quality") == pytest.approx(0.14)


def test_a_set_number_of_slots_is_kept_to() -> None:
    made = capacity(fixed_slots=2)
    assert made.slots(Counter(fast=1)) == 2
    assert made.admits("quality", Counter(fast=1), lag_s=0.0)
    assert not made.admits("fast", Counter(fast=2), lag_s=0.0)


def test_a_worker_that_is_behind_takes_nobody_though_slots_are_free() -> None:
    assert not capacity().admits("fast", {}, lag_s=1.2)
    assert not capacity(fixed_slots=9).admits("fast", {}, lag_s=1.2)


def test_the_cost_follows_what_is_seen() -> None:
    made = capacity()
    for _ in range(3000):
        made.spent("fast", cpu_s=0.014, audio_s=0.1)
    assert 0.135 < made.rtf() < 0.141
    assert made.slots({}) == 6


def test_little_audio_changes_little() -> None:
    made = capacity()
    made.spent("fast", cpu_s=0.5, audio_s=0.1)
    assert made.rtf() < 0.08
