"""Rate limits: a minute's calls at once, then one at a time, and no more callers than there is room for."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scribewire.errors import RateLimited
from scribewire.gateway import limits
from scribewire.gateway.limits import Buckets, RateLimits
from scribewire.settings import LimitSettings


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 123_456.789

    def __call__(self) -> float:
        return self.now


def test_a_minutes_calls_may_come_at_once_and_then_one_at_a_time() -> None:
    buckets = Buckets(6)
    assert [buckets.take("a", 100.0) for _ in range(6)] == [0] * 6
    assert buckets.take("a", 100.0) == pytest.approx(10)
    assert buckets.take("a", 104.0) == pytest.approx(6)
    assert buckets.take("a", 110.0) == 0
    assert buckets.take("a", 110.0) == pytest.approx(10)


def test_a_refused_call_counts_for_nothing() -> None:
    buckets = Buckets(1)
    buckets.take("a", 0.0)
    for _ in range(10):
        assert buckets.take("a", 1.0) == pytest.approx(59)
    assert buckets.take("a", 60.0) == 0


def test_callers_do_not_share() -> None:
    buckets = Buckets(1)
    assert (buckets.take("a", 0.0), buckets.take("b", 0.0)) == (0, 0)


@given(st.integers(min_value=1, max_value=2000), st.floats(min_value=0, max_value=1e7))
@example(2118, 8388604.0)  # where rounding is at its worst
def test_a_bucket_holds_exactly_a_minutes_calls(calls_per_minute: int, now: float) -> None:
    buckets = Buckets(calls_per_minute)
    assert sum(buckets.take("a", now) == 0 for _ in range(calls_per_minute + 3)) == calls_per_minute


@given(st.lists(st.floats(min_value=0, max_value=30), max_size=200))
def test_no_minute_sees_more_than_two_minutes_calls(pauses_s: list[float]) -> None:
    buckets, now, taken = Buckets(10), 0.0, []
    for pause_s in pauses_s:
        now += pause_s
        if buckets.take("a", now) == 0:
            taken.append(now)
    assert all(sum(start <= at < start + 60 for at in taken) <= 20 for start in taken)


def test_the_caller_silent_longest_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CALLERS", 2)
    buckets = Buckets(2)
    for caller in ("a", "b", "a", "c"):
        buckets.take(caller, 0.0)
    assert len(buckets) == 2
    assert buckets.wait_s("a", 0.0) > 0
    assert buckets.take("b", 0.0) == 0


def test_retry_after_is_whole_seconds_and_enough() -> None:
    clock = Clock()
    rates = RateLimits(LimitSettings(calls_per_minute_per_key=7), clock=clock)
    for _ in range(7):
        rates.count_call_of_key("k")
    with pytest.raises(RateLimited) as caught:
        rates.count_call_of_key("k")
    assert caught.value.retry_after_s == 9
    clock.now += 9
    rates.count_call_of_key("k")


def test_refused_upgrades_are_counted_apart_from_calls() -> None:
    rates = RateLimits(LimitSettings(calls_per_minute_per_address=1), clock=Clock())
    rates.count_call("192.0.2.1")
    rates.count_refusal("192.0.2.1")
    with pytest.raises(RateLimited):
        rates.count_refusal("192.0.2.1")
    rates.count_refusal("192.0.2.2")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
    ],
)
def test_an_ipv6_host_is_its_whole_network(one: str, other: str, *, same: bool) -> None:
    rates = RateLimits(LimitSettings(calls_per_minute_per_address=1), clock=Clock())
    rates.count_call(one)
    if same:
        with pytest.raises(RateLimited):
            rates.count_call(other)
    else:
        rates.count_call(other)
