"""Flushes: sent in their place, answered in their order, begun again for another stream."""

from __future__ import annotations

from scribewire.core.flushes import MAX_FLUSHES, FlushQueue


def queue_of(*ids: str) -> FlushQueue:
    queue = FlushQueue()
    for sample, flush_id in enumerate(ids):
        queue.add(flush_id, sample=sample)
    return queue


def ids_of(queue: FlushQueue) -> list[str | int | None]:
    return [flush.id for flush in queue.drain()]


def test_each_is_next_once() -> None:
    queue = queue_of("a", "b")
    seen = []
    while queue.next is not None:
        seen.append((queue.next.mark, queue.next.id, queue.next.sample))
        queue.mark_sent()
    assert seen == [(1, "a", 0), (2, "b", 1)]


def test_only_the_first_that_was_sent_can_be_answered() -> None:
    queue = queue_of("a", "b")
    assert queue.answer(1) is None, "not sent yet"
    queue.mark_sent()
    queue.mark_sent()
    assert queue.answer(2) is None
    first, again, second = queue.answer(1), queue.answer(1), queue.answer(2)
    assert (first and first.id, again, second and second.id) == ("a", None, "b")
    assert not queue.sent


def test_another_stream_is_told_of_all_that_are_unanswered() -> None:
    queue = queue_of("a", "b", "c")
    queue.mark_sent()
    queue.mark_sent()
    queue.answer(1)
    queue.rewind()
    assert not queue.sent
    assert queue.next is not None
    assert queue.next.id == "b"


def test_marks_are_never_used_again() -> None:
    queue = queue_of("a")
    queue.drain()
    queue.add("b", sample=9)
    assert queue.next is not None
    assert queue.next.mark == 2


def test_it_is_full_at_its_bound_and_empty_once_drained() -> None:
    queue = queue_of(*map(str, range(MAX_FLUSHES - 1)))
    assert not queue.full
    queue.add(None, sample=99)
    queue.mark_sent()
    assert queue.full
    assert ids_of(queue) == [*map(str, range(MAX_FLUSHES - 1)), None]
    assert (queue.full, queue.sent, queue.next) == (False, False, None)
