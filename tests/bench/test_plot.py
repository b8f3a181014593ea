"""The picture of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from scribewire.bench import plot
from scribewire.bench.figures import figures_of
from scribewire.errors import NotFound
from tests.bench.test_figures import run_of

pytest.importorskip("matplotlib", reason="needs matplotlib")


@pytest.mark.parametrize("lags", [[], [0.1, 0.2, 0.9]])
def test_a_picture_is_drawn_of_any_run(tmp_path: Path, lags: list[float]) -> None:
    run = run_of()
    for at, lag_s in enumerate(lags):
        run.meter.heard_partial(105.0 + at, lag_s)
    plot.draw(run, figures_of(run), tmp_path / "lag.png", bound_ms=500)
    assert (tmp_path / "lag.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be written"):
        plot.draw(run_of(), figures_of(run_of()), tmp_path, bound_ms=500)
