"""A picture of a day: the sessions, and the workers that followed them."""

from __future__ import annotations

from pathlib import Path

from scribewire.core.simulation import Outcome, World
from scribewire.errors import NotFound


def draw(outcome: Outcome, world: World, file: Path) -> None:
    """Write a PNG; matplotlib must be there. Raises NotFound when the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    hours = [sample.at_s / 3600 for sample in outcome.samples]
    slots = sum(world.slots) / len(world.slots)
    label = f"slots, {slots:g} a worker"
    axes.fill_between(hours, [sample.live for sample in outcome.samples], alpha=0.4, label="live sessions")
    axes.step(hours, [slots * sample.workers for sample in outcome.samples], where="post", linewidth=1, label=label)
    axes.plot(hours, [sample.waiting for sample in outcome.samples], color="red", linewidth=1, label="waiting")
    axes.set(xlabel="hour of the day", ylabel="sessions, slots", xlim=(0, 24), xticks=range(0, 25, 2), ylim=(0, None))
    axes.legend(fontsize="small", loc="upper left")
    try:
        with file.open("wb") as out:
            canvas.print_png(out)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise NotFound(f"{file} cannot be written: {error.strerror}.") from error
