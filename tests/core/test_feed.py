"""Feed: what a stream may have next, and what it owes."""

from __future__ import annotations

from scribewire.core.audio import WINDOW_SAMPLES
from scribewire.core.feed import Feed
from scribewire.core.flushes import Flush
from scribewire.core.kept import KeptAudio
from scribewire.core.limits import Limits

LIMITS = Limits(kept_samples=20_000, backlog_samples=8_000, window_samples=4_000)


def feed_of(samples: int) -> tuple[Feed, KeptAudio]:
    kept = KeptAudio()
    kept.append(b"\1\0" * samples)
    return Feed(kept, LIMITS), kept


def lengths(feed: Feed) -> list[int | str]:
    """Give what may be had now: samples, or the name of a flush."""
    return [str(part.id) if isinstance(part, Flush) else len(part) // 2 for part in feed.take()]


def test_it_gives_a_window_ahead_of_what_is_decoded() -> None:
    feed, _ = feed_of(10_000)
    assert (lengths(feed), lengths(feed), feed.complete) == ([4_000], [], False)
    assert feed.consume(3_000)
    assert lengths(feed) == [3_000]
    feed.consume(7_000)
    assert (lengths(feed), feed.complete) == ([3_000], True)


def test_flushes_come_at_their_places() -> None:
    feed, kept = feed_of(100)
    feed.flushes.add("a", sample=100)
    feed.flushes.add("b", sample=100)
    kept.append(b"\1\0" * 50)
    feed.flushes.add("c", sample=150)
    assert lengths(feed) == [100, "a", "b", 50, "c"]
    assert feed.complete


def test_another_stream_begins_where_all_is_settled() -> None:
    feed, _ = feed_of(3_000)
    lengths(feed)
    assert feed.settle(1_000, b"state")
    feed.rewind()
    assert (feed.settled, feed.consumed, feed.fed, feed.resume) == (1_000, 1_000, 1_000, b"state")
    assert lengths(feed) == [2_000]


def test_positions_beyond_what_was_fed_are_not_believed() -> None:
    feed, kept = feed_of(10_000)
    lengths(feed)
    assert feed.consume(10**9)
    assert feed.consumed == 4_000
    assert feed.settle(10**9, b"")
    assert (feed.settled, kept.first_sample) == (4_000, 4_000)


def test_positions_that_say_nothing_new_change_nothing() -> None:
    feed, _ = feed_of(3_000)
    lengths(feed)
    feed.settle(1_000, b"new")
    assert [feed.consume(1_000), feed.consume(-1), feed.settle(1_000, b"old"), feed.settle(-1, b"old")] == [False] * 4
    assert feed.resume == b"new"


def test_a_whole_window_is_owed_and_less_is_not() -> None:
    feed, kept = feed_of(WINDOW_SAMPLES - 1)
    lengths(feed)
    assert not feed.owed
    kept.append(b"\1\0")
    lengths(feed)
    assert feed.owed
    feed.consume(WINDOW_SAMPLES)
    assert not feed.owed


def test_an_unanswered_flush_is_owed() -> None:
    feed, _ = feed_of(0)
    feed.flushes.add("a", sample=0)
    assert not feed.owed
    lengths(feed)
    assert feed.owed


def test_decoding_all_that_may_be_kept_and_settling_none_of_it_is_hoarding() -> None:
    feed, _ = feed_of(20_000)
    for _ in range(5):
        assert not feed.hoarded
        lengths(feed)
        feed.consume(feed.fed)
    assert feed.hoarded
    assert feed.owed
    feed.settle(1, b"")
    assert not feed.hoarded


def test_a_client_is_ahead_by_what_is_not_decoded() -> None:
    feed, kept = feed_of(8_000)
    assert feed.ahead == 0
    lengths(feed)
    feed.consume(4_000)
    assert feed.ahead == -4_000
    kept.append(b"\1\0" * 20_000)
    assert feed.ahead == feed.overfull + 8_000 == 16_000


def test_what_gathered_without_a_stream_is_excused_until_it_is_decoded() -> None:
    feed, kept = feed_of(12_000)
    feed.excuse_backlog()
    assert feed.ahead == -8_000
    lengths(feed)
    feed.consume(4_000)
    kept.append(b"\1\0" * 7_999)
    assert feed.ahead == -1
