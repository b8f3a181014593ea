"""The command that loads a service with sessions and says how many it holds and how late its text is."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from scribewire.assets import sample_pcm, sample_text
from scribewire.bench import live, plot, report
from scribewire.bench.capacity import Probe, Verdict, find_capacity
from scribewire.bench.clips import Clip, Reel, read_clips
from scribewire.bench.figures import Figures, figures_of
from scribewire.bench.load import Run
from scribewire.bench.speaker import Plan
from scribewire.bench.usage import Gauge
from scribewire.cli.control import make_ready
from scribewire.cli.local import DataDir, Key, Url, client_of
from scribewire.cli.streaming import Type
from scribewire.cli.terminal import err, out, say
from scribewire.client import Client
from scribewire.errors import NotFound
from scribewire.tones import VOCABULARY
from scribewire.tones import say as say_tones

_INTERRUPTED: Final = 128 + signal.SIGINT
_WORDS_A_CLIP: Final = 8


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the options mean."""

    plan: Plan
    find_capacity: bool
    bound_ms: float
    json_file: Path | None
    plot_file: Path | None


def bench(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="What is said, in turn: audio files; unset, the bundled sample.")
    ] = None,
    *,
    sessions: Annotated[int, typer.Option(min=1, help="How many at a time; the first try of a search.")] = 8,
    seconds: Annotated[float, typer.Option(min=1, help="How long all of them are live.")] = 20.0,
    warm_up_s: Annotated[
        float, typer.Option("--warm-up", min=0, help="Seconds before, over which they begin; not counted.")
    ] = 4.0,
    frame_ms: Annotated[int, typer.Option(min=10, max=1000, help="Milliseconds of audio in a frame.")] = 100,
    type_: Annotated[Type, typer.Option("--type", help="Quick and cheap, or better.")] = Type.FAST,
    language: Annotated[str | None, typer.Option(help="Language tag; unset, the service's default.")] = None,
    tones: Annotated[bool, typer.Option("--tones", help="Say pure tones, the words of the scripted engine.")] = False,
    references: Annotated[
        Path | None, typer.Option(help="Table of the words in the clips: tab-separated, columns file and text.")
    ] = None,
    search: Annotated[
        bool, typer.Option("--find-capacity", help="Search the most sessions that hold: p95 lag within the bound.")
    ] = False,
    lag_bound_ms: Annotated[float, typer.Option(min=1, help="The bound.")] = 500.0,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures.")] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the lag; needs the extra bench.")
    ] = None,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Load a service with sessions at the pace of speech, and say how many it holds and how late its text is.

    Starts the service's workers first if the key may. Ctrl-C stops the sessions in order and shows the figures so far;
    a second one does not wait for their ends.
    """
    if plot_file:
        plot.require_matplotlib()
    for file in (json_file, plot_file):
        if file and not file.absolute().parent.is_dir():
            raise NotFound(f"{file.absolute().parent} is not a folder.")
    if clips and tones:
        raise typer.BadParameter("Give clips or --tones.")
    plan = Plan(
        sessions=sessions,
        seconds=seconds,
        warm_up_s=warm_up_s,
        frame_ms=frame_ms,
        language=language,
        type=type_.value,
    )
    reel = Reel(_read(clips or [], references, tones=tones))
    asked = _Asked(plan=plan, find_capacity=search, bound_ms=lag_bound_ms, json_file=json_file, plot_file=plot_file)
    client = client_of(url, key, data_dir)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        status = runner.run(_bench(client, reel, asked))
    raise typer.Exit(status)


def _read(paths: list[Path], references: Path | None, *, tones: bool) -> list[Clip]:
    if tones:
        parts = [VOCABULARY[at : at + _WORDS_A_CLIP] for at in range(0, len(VOCABULARY), _WORDS_A_CLIP)]
        return [Clip("tones", say_tones(part), " ".join(part)) for part in parts]
    if not paths:
        return [Clip("sample", sample_pcm(), sample_text())]
    return asyncio.run(read_clips(paths, references))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


# --- runs ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Bench:
    """The service under load, and what it is told."""

    client: Client
    endpoint: str
    gauge: Gauge
    reel: Reel

    async def hold(self, plan: Plan) -> tuple[Run, Figures]:
        """Hold one run, to its end or until interrupted."""
        run = Run(plan, self.reel)
        going = asyncio.create_task(run.go(self.client, self.endpoint, self.gauge))
        showing = asyncio.create_task(live.show(run, err))
        with _interrupting(run, going):
            await asyncio.wait({going})
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        if not going.cancelled():
            going.result()
        return run, figures_of(run)


@contextmanager
def _interrupting(run: Run, going: asyncio.Task[None]) -> Iterator[None]:
    """Let Ctrl-C stop the sessions in order, and a second one at once."""

    def interrupt() -> None:
        if run.interrupted.is_set():
            going.cancel()
        run.interrupted.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _bench(client: Client, reel: Reel, asked: _Asked) -> int:
    gauge = Gauge(client.url)
    async with client:
        try:
            endpoint = (await make_ready(client)).endpoint
            bench = _Bench(client, endpoint, gauge, reel)
            return await (_search(bench, asked) if asked.find_capacity else _measure(bench, asked))
        finally:
            await gauge.close()


async def _measure(bench: _Bench, asked: _Asked) -> int:
    plan = asked.plan
    say(f"{plan.sessions} sessions for {plan.longest_s:g} s")
    run, figures = await bench.hold(plan)
    _show(figures)
    _keep(asked, {"plan": plan, "figures": figures}, run, figures)
    if figures.interrupted:
        return _INTERRUPTED
    return int(not figures.completed or figures.failed > 0)


async def _search(bench: _Bench, asked: _Asked) -> int:
    latest: tuple[Run, Figures] | None = None
    best: tuple[Run, Figures] | None = None

    async def probe(sessions: int) -> Figures:
        nonlocal latest
        latest = await bench.hold(replace(asked.plan, sessions=sessions))
        return latest[1]

    def tell(made: Probe) -> None:
        nonlocal best
        lag = made.figures.lag_ms
        say(f"{made.sessions} sessions: {made.verdict.value}" + (f", p95 {lag.p95:.0f} ms" if lag else ""))
        if made.verdict is Verdict.HELD:
            best = latest

    found = await find_capacity(probe, first=asked.plan.sessions, bound_ms=asked.bound_ms, on_probe=tell)
    assert latest is not None, "a search makes a probe"
    run, figures = best or latest
    out.print(report.table_of_probes(found))
    _show(figures)
    out.print(report.conclusion(found))
    _keep(asked, {"plan": asked.plan, "capacity": found}, run, figures)
    return _INTERRUPTED if latest[1].interrupted else int(not found.largest)


# --- what is told ----------------------------------------------------------------------------------------------------


def _show(figures: Figures) -> None:
    out.print(report.table_of_times(figures))
    out.print(report.table_of_counts(figures))
    for remark in report.remarks(figures):
        say(remark, style="yellow")


def _keep(asked: _Asked, said: dict[str, Any], run: Run, figures: Figures) -> None:
    if asked.json_file:
        try:
            asked.json_file.write_bytes(msgspec.json.format(msgspec.json.encode(said)) + b"\n")
        except OSError as error:
            raise NotFound(f"{asked.json_file} cannot be written: {error.strerror}.") from error
    if asked.plot_file:
        plot.draw(run, figures, asked.plot_file, bound_ms=asked.bound_ms)
