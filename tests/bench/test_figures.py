"""The figures of a run, from columns that a test wrote."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from scribewire.bench.clips import GAP_MS, Clip, Reel
from scribewire.bench.figures import (
    Cost,
    Failure,
    Second,
    Spread,
    accuracy_of,
    costs,
    figures_of,
    over_time,
    percentile,
)
from scribewire.bench.load import Run
from scribewire.bench.meter import Heard
from scribewire.bench.speaker import Plan
from scribewire.bench.usage import Spent, Usage
from scribewire.bench.wer import Score
from scribewire.client import Word
from scribewire.errors import AtCapacity, Disconnected
from scribewire.tones import silence

PLAN = Plan(sessions=2, seconds=10, warm_up_s=5, frame_ms=100)
CLIP = Clip("one", silence(1000), "alfa bravo")


def run_of(*heard: Heard, ended: float = 120.0) -> Run:
    run = Run(PLAN, Reel([CLIP]), heard=list(heard))
    run.began, run.ended = 100.0, ended
    return run


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_smallest_value_that_covers_the_share(values: list[float], share: float) -> None:
    ranked = sorted(values)
    found = percentile(ranked, share)
    assert sum(value <= found for value in ranked) >= share * len(ranked) - 1e-9
    assert sum(value < found for value in ranked) <= math.ceil(share * len(ranked)) - 1


def test_a_spread_leaves_out_what_did_not_happen() -> None:
    assert Spread.of([0.1, None, 0.3]) == Spread(2, 100.0, 300.0, 300.0, 300.0)
    assert Spread.of([None]) is None


def test_lags_count_only_while_all_sessions_are_live() -> None:
    run = run_of()
    for now, lag_s in ((104.9, 9.0), (105.0, 0.1), (114.9, 0.2), (115.0, 9.0)):
        run.meter.heard_partial(now, lag_s)
    assert figures_of(run).lag_ms == Spread(2, 100.0, 200.0, 200.0, 200.0)
    assert figures_of(run_of()).lag_ms is None


def test_a_generator_behind_its_own_pace_is_not_trusted() -> None:
    run = run_of()
    run.meter.sent(106.0, late_s=0.01)
    assert figures_of(run).trusted
    run.meter.sent(107.0, late_s=0.2)
    assert not figures_of(run).trusted


def test_refused_and_failed_sessions_are_counted_by_error() -> None:
    refused = [Heard(place, error=AtCapacity(), refused=True) for place in range(2)]
    figures = figures_of(run_of(*refused, Heard(2, error=Disconnected()), Heard(3, stopped_s=0.1)))
    assert (figures.completed, figures.refused, figures.failed) == (1, 2, 1)
    assert figures.failures == [
        Failure("at_capacity", 2, AtCapacity.sentence),
        Failure("disconnected", 1, Disconnected.sentence),
    ]


def test_a_run_that_was_cut_short_says_how_much_was_measured() -> None:
    assert figures_of(run_of(ended=107.5)).seconds == 2.5
    assert figures_of(run_of(ended=101.0)).seconds == 0.0


def test_flicker_is_words_taken_back_per_word_finally_shown() -> None:
    figures = figures_of(run_of(Heard(0, unstable_words=3, final_words=10), Heard(1, final_words=2)))
    assert figures.flicker == 0.25


def test_clips_that_were_said_whole_are_scored_by_the_words_of_their_time() -> None:
    second = 1000 + GAP_MS
    words = [Word("alfa", 0, 300, 1.0), Word("bravo", 500, 1000, 1.0), Word("alfa", second + 10, second + 300, 1.0)]
    reel = Reel([CLIP])
    assert accuracy_of(reel, [Heard(0, stopped_s=0.1, sent_s=1.0, words=words)]) == Score(0, 2)
    assert accuracy_of(reel, [Heard(0, stopped_s=0.1, sent_s=1.0 + second / 1000, words=words)]) == Score(1, 4)
    assert accuracy_of(reel, [Heard(0, sent_s=1.0, words=words)]) == Score(0, 0)


def test_seconds_without_partials_are_left_out() -> None:
    column = [(10.1, 0.1), (10.9, 0.3), (12.0, 0.2)]
    assert over_time(10.0, column) == [Second(0, 2, 100.0, 300.0), Second(2, 1, 200.0, 200.0)]


def test_costs_are_of_those_who_were_there_all_the_time() -> None:
    before = Usage(10.0, 0.0, Spent(1.0, 0.0), {"w1": Spent(5.0, 0.0), "w2": Spent(9.0, 0.0)})
    after = Usage(
        20.0, 0.0, Spent(2.0, 2 * 1024 * 1024), {"w1": Spent(15.0, 0.0), "w2": Spent(1.0, 0.0), "w3": Spent(1.0, 0.0)}
    )
    assert costs(before, after) == (Cost(0.1, 2.0), {"w1": Cost(1.0, 0.0)})
    assert costs(before, None) == (None, {})
    assert costs(before, Usage(20.0, 0.0)) == (None, {})
