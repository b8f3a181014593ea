"""The command that replays a synthetic day against the policy, and says what it costs beside fixed fleets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from scribewire.bench.day import DAY_S, Day, arrivals_of
from scribewire.bench.plot import require_matplotlib
from scribewire.bench.scaling import POLICY, Row, fleets, table_of
from scribewire.bench.scaling_plot import draw
from scribewire.cli.serving import Config, needs_server
from scribewire.cli.terminal import err, out
from scribewire.core.policy import Bounds
from scribewire.core.simulation import Arrival, Outcome, Sample, World
from scribewire.errors import NotFound

# Where the settings leave it to each worker to measure.
_SLOTS: Final = 10
_BAR_AFTER_S: Final = 1.0


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    *,
    sessions_per_day: Annotated[int, typer.Option(min=1, max=1_000_000, help="Expected sessions.")] = 2000,
    peak_hour: Annotated[float, typer.Option(min=0, max=24, help="When most of them begin.")] = 14.0,
    mean_minutes: Annotated[float, typer.Option(min=0.01, max=1440, help="Expected length of a session.")] = 6.0,
    start_s: Annotated[float, typer.Option(min=0, help="Seconds until a new worker is ready.")] = 15.0,
    seed: Annotated[int, typer.Option(help="Another day of the same kind.")] = 1,
    slots: Annotated[int | None, typer.Option(min=1, help="Slots of a worker (worker.slots).")] = None,
    min_workers: Annotated[int | None, typer.Option(help="autoscaling.min_workers")] = None,
    max_workers: Annotated[int | None, typer.Option(help="autoscaling.max_workers")] = None,
    target_utilisation: Annotated[float | None, typer.Option(help="autoscaling.target_utilisation")] = None,
    spare_slots: Annotated[int | None, typer.Option(help="autoscaling.spare_slots")] = None,
    cooldown_s: Annotated[float | None, typer.Option(help="autoscaling.cooldown_s")] = None,
    idle_s: Annotated[float | None, typer.Option(help="autoscaling.idle_s")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures.")] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the day; needs the extra bench.")
    ] = None,
    config: Config = None,
) -> None:
    """Replay a synthetic day against the service's own policy, and against fixed fleets, in virtual time.

    Settings that no option names come from the environment and the TOML file, as those of serve do. A session waits
    from when it asks for a slot, or for an initialize if the service is scaled down, until it gets one.
    """
    if plot_file:
        require_matplotlib()
    with needs_server("scribewire simulate"):
        from scribewire import settings
        from scribewire.gateway.bounds import bounds_of
    scaling = {
        "enabled": True,
        "min_workers": min_workers,
        "max_workers": max_workers,
        "target_utilisation": target_utilisation,
        "spare_slots": spare_slots,
        "cooldown_s": cooldown_s,
        "idle_s": idle_s,
    }
    loaded = settings.load(config, autoscaling=scaling, worker={"slots": slots})
    bounds = bounds_of(loaded)
    day = Day(sessions=sessions_per_day, peak_hour=peak_hour, mean_minutes=mean_minutes, seed=seed)
    world = World(
        slots=(loaded.worker.slots or _SLOTS,),
        start_s=start_s,
        slot_wait_s=loaded.session.slot_wait_s,
        start_wait_s=loaded.autoscaling.start_wait_s,
    )
    outcomes = _live(arrivals_of(day), bounds, world)
    rows = [Row.of(name, outcome) for name, outcome in outcomes.items()]
    out.print(_summary(rows[0], outcomes[POLICY], bounds, world), highlight=False)
    out.print(table_of(rows))
    if json_file:
        _write(json_file, {"day": day, "world": world, "bounds": bounds, "fleets": rows})
    if plot_file:
        draw(outcomes[POLICY], world, plot_file)


def _live(arrivals: Sequence[Arrival], bounds: Bounds, world: World) -> dict[str, Outcome]:
    """Let every fleet live through the day."""
    asked = fleets(bounds)
    outcomes = {}
    with _progress(len(asked) * DAY_S) as reached:
        for number, fleet in enumerate(asked):

            def show(sample: Sample, lived_s: float = number * DAY_S) -> None:
                reached(lived_s + sample.at_s)

            outcomes[fleet.name] = fleet.live(arrivals, world, show)
    return outcomes


@contextmanager
def _progress(total_s: float) -> Iterator[Callable[[float], None]]:
    """Give what shows how far it is; the bar appears once that takes long."""
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    task = progress.add_task("simulating", total=total_s)

    def reached(at_s: float) -> None:
        progress.update(task, completed=at_s)
        if not progress.live.is_started and time.monotonic() - began > _BAR_AFTER_S:
            progress.start()

    try:
        yield reached
    finally:
        progress.stop()


def _summary(policy: Row, outcome: Outcome, bounds: Bounds, world: World) -> str:
    most = max(sample.live for sample in outcome.samples)
    return (
        f"{policy.served + policy.refused} sessions, at most {most} at a time. "
        f"Workers: {world.slots[0]} slots, ready after {world.start_s:g} s.\n"
        f"Policy: {bounds.min_workers} to {bounds.max_workers} workers, "
        f"target utilisation {bounds.target_utilisation:g}, {bounds.spare_slots} spare slots,\n"
        f"cooldown {bounds.cooldown_s:g} s, idle after {bounds.idle_s:g} s."
    )


def _write(file: Path, figures: dict[str, Any]) -> None:
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    except OSError as error:
        raise NotFound(f"{file} cannot be written: {error.strerror}.") from error
