"""Who is decoded next, in virtual time: oldest first, bounded quanta, bursts charged at the pace of real time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from scribewire.worker.scheduler import BEHIND_WINDOWS, QUANTUM_WINDOWS, WINDOW_S, Scheduler


def scheduler(*streams: str, batch: int = 1) -> Scheduler[str]:
    made: Scheduler[str] = Scheduler()
    for stream in streams:
        made.add(stream, kind="engine", batch=batch)
    return made


def picked(scheduler: Scheduler[str], now: float) -> tuple[str, ...]:
    grant = scheduler.pick(now)
    return grant.streams if grant else ()


def test_nobody_waiting_is_nobody_granted() -> None:
    assert scheduler("a").pick(0.0) is None


def test_the_stream_with_the_oldest_audio_comes_first() -> None:
    them = scheduler("a", "b", "c")
    them.want("a", 3.0)
    them.want("b", 1.0)
    them.want("c", 2.0)
    assert [picked(them, 3.0) for _ in range(4)] == [("b",), ("c",), ("a",), ()]


def test_a_granted_stream_is_not_granted_again_until_it_is_charged() -> None:
    them = scheduler("a")
    them.want("a", 0.0)
    assert picked(them, 0.0) == ("a",)
    them.want("a", 0.1)
    assert picked(them, 0.1) == ()
    them.charge("a", 3, 0.2)
    them.want("a", 0.1)
    assert picked(them, 0.2) == ("a",)


def test_a_stream_that_is_behind_gets_larger_quanta() -> None:
    them = scheduler("a", "b")
    them.want("a", 0.0)
    them.want("b", 0.9)
    late, fresh = them.pick(1.0), them.pick(1.0)
    assert late is not None
    assert fresh is not None
    assert (late.windows, fresh.windows) == (BEHIND_WINDOWS, QUANTUM_WINDOWS)


def test_streams_of_one_kind_share_a_grant_up_to_the_batch() -> None:
    them = scheduler("a", "b", "c", batch=2)
    them.add("other", kind="another engine", batch=2)
    for stream, arrived in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("other", 1.5)):
        them.want(stream, arrived)
    assert [picked(them, 3.0) for _ in range(3)] == [("b", "c"), ("other",), ("a",)]


def test_a_removed_stream_is_forgotten_also_while_granted() -> None:
    them = scheduler("a", "b")
    them.want("a", 0.0)
    them.want("b", 1.0)
    assert picked(them, 1.0) == ("a",)
    them.remove("a")
    them.remove("b")
    them.charge("a", 3, 1.0)
    them.want("a", 0.0)
    assert picked(them, 2.0) == ()
    assert them.lag_s(2.0) == 0.0


def test_the_lag_is_the_age_of_the_oldest_audio_granted_or_waiting() -> None:
    them = scheduler("a", "b")
    them.want("a", 1.0)
    them.want("b", 2.0)
    assert them.lag_s(2.5) == 1.5
    them.pick(2.5)
    assert them.lag_s(3.0) == 2.0
    them.charge("a", 3, 3.0)
    assert them.lag_s(3.0) == 1.0


# --- simulations ------------------------------------------------------------------------------------------------------


@dataclass
class Feed:
    """A stream's audio: when each of its windows arrives, and when each was decoded."""

    arrivals: deque[float]
    waits: list[float] = field(default_factory=list)


def simulate(feeds: dict[str, Feed], *, rtf: float, until: float) -> None:
    """Decode with one permit, `rtf` seconds a second of audio, until a time."""
    them: Scheduler[str] = scheduler(*feeds)
    now = 0.0
    while now < until:
        for name, feed in feeds.items():
            there = feed.arrivals and feed.arrivals[0] <= now
            them.want(name, feed.arrivals[0] if there else None)
        grant = them.pick(now)
        if grant is None:
            now = min((feed.arrivals[0] for feed in feeds.values() if feed.arrivals), default=until)
            continue
        [name] = grant.streams
        feed = feeds[name]
        count = sum(1 for arrived in list(feed.arrivals)[: grant.windows] if arrived <= now)
        now += count * WINDOW_S * rtf
        feed.waits += [now - feed.arrivals.popleft() for _ in range(count)]
        them.charge(name, count, now)


def real_time(seconds: float, *, start: float = 0.0) -> Feed:
    """Frames of three windows at the pace of speech."""
    count = int(seconds / WINDOW_S)
    return Feed(deque(start + WINDOW_S * (3 * (window // 3) + 3) for window in range(count)))


def test_a_burst_delays_no_other_stream_by_150_ms() -> None:
    feeds = {f"r{n}": real_time(20, start=n * 0.013) for n in range(7)}
    feeds["burst"] = Feed(deque(5.0 for _ in range(int(60 / WINDOW_S))))
    simulate(feeds, rtf=0.1, until=30)
    assert max(wait for name, feed in feeds.items() if name != "burst" for wait in feed.waits) < 0.15


def test_a_burst_takes_all_that_the_others_leave() -> None:
    feeds = {"real": real_time(20), "burst": Feed(deque(0.0 for _ in range(int(60 / WINDOW_S))))}
    simulate(feeds, rtf=0.1, until=30)
    assert max(feeds["burst"].waits) < 60 * 0.1 / (1 - 0.1) + 0.5


def test_two_bursts_share_evenly_whatever_the_first_had_already() -> None:
    feeds = {
        "first": Feed(deque(0.0 for _ in range(int(100 / WINDOW_S)))),
        "second": Feed(deque(4.0 for _ in range(int(20 / WINDOW_S)))),
    }
    simulate(feeds, rtf=0.1, until=20)
    assert 3.5 < max(feeds["second"].waits) < 4.5


def test_a_stream_that_lost_time_catches_up_before_those_that_did_not() -> None:
    feeds = {f"r{n}": real_time(10) for n in range(4)}
    late = real_time(10)
    late.arrivals = deque(max(arrived, 3.0) for arrived in late.arrivals)
    feeds["late"] = late
    simulate(feeds, rtf=0.15, until=20)
    assert max(feeds["late"].waits[-60:]) < 0.3


def test_under_overload_everyone_is_equally_late() -> None:
    feeds = {f"r{n}": real_time(20, start=n * 0.01) for n in range(12)}
    simulate(feeds, rtf=0.1, until=20)
    latest = [feed.waits[-1] for feed in feeds.values()]
    assert max(latest) - min(latest) < 0.5
