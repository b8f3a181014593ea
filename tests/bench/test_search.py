"""The search for the largest number that holds."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from scribewire.bench.search import Search


def searched(true: int, *, first: int, most: int) -> tuple[int, list[int]]:
    """Give what a search finds where `true` is the largest number that holds, and what it tried."""
    search, tried = Search(first, most), list[int]()
    while (sessions := search.propose()) is not None:
        tried.append(sessions)
        search.tell(sessions, held=sessions <= true)
    return search.largest, tried


@given(st.integers(0, 5000), st.integers(1, 200), st.integers(200, 5000))
def test_it_finds_the_largest_number_that_holds(true: int, first: int, most: int) -> None:
    largest, tried = searched(true, first=first, most=most)
    assert largest == min(true, most)
    assert len(set(tried)) == len(tried)
    assert all(1 <= sessions <= most for sessions in tried)
    assert len(tried) <= 3 + 2 * math.ceil(math.log2(max(true, first) + 1))


@given(st.lists(st.booleans(), min_size=40, max_size=40), st.integers(1, 100))
def test_it_ends_whatever_it_is_told_and_claims_only_what_held(answers: list[bool], first: int) -> None:
    search, held = Search(first, 1000), {0}
    for answer in answers:
        if (sessions := search.propose()) is None:
            break
        search.tell(sessions, held=answer)
        held |= {sessions} if answer else set()
    assert search.propose() is None
    assert search.largest in held
