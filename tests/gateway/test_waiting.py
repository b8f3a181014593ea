"""The line before the slots, and the pace at which they become free."""

from __future__ import annotations

import asyncio

from scribewire.gateway.link import StreamRequest
from scribewire.gateway.waiting import Line, Turnover, Waiter


def waiter(session: str, *, key: str = "k", replacement: bool = False) -> Waiter:
    request = StreamRequest(session, "en", "fast", 0, True, False, b"", replacement=replacement, key_id=key)
    return Waiter(request, lambda frame: None, 0.0, asyncio.get_running_loop().create_future())


async def test_the_line_keeps_its_order_and_lets_replacements_go_first() -> None:
    line = Line()
    first, second, lost = waiter("first"), waiter("second"), waiter("lost", replacement=True)
    for one in (first, second, lost):
        line.join(one)
    assert list(line) == [lost, first, second]
    line.leave(lost)
    line.leave(first)
    line.leave(first)
    assert line.head() is second
    line.rejoin(first)
    assert list(line) == [first, second]
    line.leave(first)
    line.leave(second)
    assert line.head() is None
    assert len(line) == 0


async def test_keys_take_turns_however_many_sessions_each_has_in_line() -> None:
    line = Line()
    waiting = [
        waiter(f"{key}{number}", key=key) for key, count in (("a", 3), ("b", 1), ("c", 2)) for number in range(count)
    ]
    for one in waiting:
        line.join(one)
    served = []
    while (head := line.head()) is not None:
        line.leave(head, served=True)
        served.append(head.request.session)
    assert served == ["a0", "b0", "c0", "a1", "c1", "a2"]


async def test_a_turn_that_came_to_nothing_is_taken_again() -> None:
    line = Line()
    first, second, other = waiter("first"), waiter("second"), waiter("other", key="o")
    for one in (first, second, other):
        line.join(one)
    line.leave(first, served=True)
    line.rejoin(first)
    assert list(line) == [first, other, second]


def test_the_pace_is_unknown_until_a_slot_became_free() -> None:
    turnover = Turnover()
    turnover.took()
    turnover.holds(1, 5.0)
    assert turnover.wait_s(1, 9.0) is None


def test_the_wait_grows_with_the_places_and_with_the_time_since_slots_became_free() -> None:
    turnover = Turnover()
    for _ in range(4):
        turnover.took()
    turnover.holds(2, 10.0)
    turnover.holds(0, 14.0)
    assert turnover.wait_s(1, 18.0) == 2.0
    assert turnover.wait_s(3, 18.0) == 6.0
    assert turnover.wait_s(1, 90.0) == 20.0
