"""The policy beside fixed fleets: which, and what is told of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from scribewire.bench import scaling_plot
from scribewire.bench.scaling import Row, fleets, table_of
from scribewire.core.simulation import Arrival, Outcome, simulate
from scribewire.errors import NotFound
from tests.core.test_simulation import BOUNDS, WORLD


@pytest.mark.parametrize(("most", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_beside_the_policy_stand_doubling_fleets_up_to_the_most(most: int, sizes: list[int]) -> None:
    policy, *fixed = fleets(replace(BOUNDS, max_workers=most))
    assert policy.bounds.enabled
    assert [fleet.bounds.min_workers for fleet in fixed] == sizes
    assert not any(fleet.bounds.enabled for fleet in fixed)


def test_a_row_condenses_an_outcome() -> None:
    outcome = Outcome(
        waits_s=[9.0, *[0.0] * 98, 5.0], refused=3, moved=2, worker_s=5400.0, peak_workers=2, wanted=[(0, 0), (1, 2)]
    )
    assert Row.of("policy", outcome) == Row("policy", 100, 3, 0.0, 0.0, 5.0, 1.5, 2, 1, 0, 2)


def test_a_day_without_sessions_waits_for_nothing() -> None:
    assert Row.of("policy", Outcome()).wait_p99_s == 0.0


def test_the_table_fits_a_terminal() -> None:
    row = Row("fixed, 1000", 99_999, 99_999, 100.0, 100.0, 100.0, 24_000.0, 1000, 9999, 9999, 99_999)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(table_of([row]))
    assert "24000.0" in shown.get()
    assert max(map(len, shown.get().splitlines())) <= 80


def test_a_picture_is_drawn_of_a_day(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    outcome = simulate([Arrival(5.0, 500.0)], BOUNDS, WORLD, until_s=3600.0)
    scaling_plot.draw(outcome, WORLD, tmp_path / "day.png")
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(NotFound, match="cannot be written"):
        scaling_plot.draw(outcome, WORLD, tmp_path)
