"""A picture of a run: lag over time, and how it is distributed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from scribewire.bench.figures import Figures, percentile
from scribewire.bench.load import Run
from scribewire.errors import ExtraMissing, NotFound


def require_matplotlib() -> None:
    """Raise ExtraMissing unless a plot can be made: to be asked before an hour is spent."""
    if find_spec("matplotlib") is None:
        raise ExtraMissing("A plot", "bench")


def draw(run: Run, figures: Figures, file: Path, *, bound_ms: float) -> None:
    """Write a PNG. Raises NotFound when the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    over_time, spread = figure.subplots(1, 2)
    at_s = [second.at_s for second in figures.lag_over_time]
    over_time.plot(at_s, [second.p50 for second in figures.lag_over_time], label="p50")
    over_time.plot(at_s, [second.p95 for second in figures.lag_over_time], label="p95")
    over_time.axvspan(run.plan.warm_up_s, run.plan.warm_up_s + run.plan.seconds, alpha=0.08, label="all live")
    over_time.set(title=f"{figures.sessions} sessions", xlabel="seconds", ylabel="lag of partials, ms")
    counted = zip(run.meter.partial_at, run.meter.lag_s, strict=True)
    lags = sorted(1000 * lag_s for at, lag_s in counted if run.counted_from <= at < run.counted_to)
    if lags:
        spread.hist(lags, bins=60, range=(min(0.0, lags[0]), max(bound_ms, percentile(lags, 0.995))))
    spread.set(title="while all are live", xlabel="lag of partials, ms", ylabel="partials")
    for axes in (over_time, spread):
        line = axes.axhline if axes is over_time else axes.axvline
        line(bound_ms, linestyle="--", linewidth=1, color="grey", label=f"bound {bound_ms:g} ms")
        axes.legend(fontsize="small")
    try:
        with file.open("wb") as out:
            canvas.print_png(out)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise NotFound(f"{file} cannot be written: {error.strerror}.") from error
