"""Figures for people, as tables; the JSON is the figures themselves."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from scribewire.bench.capacity import Capacity, Verdict
from scribewire.bench.figures import OWN_LATE_BOUND_MS, Cost, Figures, Spread

_SPREADS = (
    ("connect", "connect_ms"),
    ("start → listening", "listening_ms"),
    ("first partial after first sound", "first_partial_ms"),
    ("lag of partials", "lag_ms"),
    ("stop → last final", "final_ms"),
    ("stop → stopped", "stopped_ms"),
    ("own lateness", "own_late_ms"),
)


def table_of_times(figures: Figures) -> Table:
    """Give every time that was taken, a row each."""
    title = f"{figures.sessions} sessions, {figures.seconds:g} s with all of them live"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for column in ("ms", "p50", "p95", "p99", "worst", "of"):
        table.add_column(column, justify="left" if column == "ms" else "right")
    for name, attribute in _SPREADS:
        spread: Spread | None = getattr(figures, attribute)
        shown = ("-",) * 4 if spread is None else (spread.p50, spread.p95, spread.p99, spread.worst)
        cells = [value if isinstance(value, str) else f"{value:.1f}" for value in shown]
        table.add_row(name, *cells, str(spread.count if spread else 0))
    return table


def table_of_counts(figures: Figures) -> Table:
    """Give everything else, a row each."""
    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column()
    for name, value in _counts(figures):
        table.add_row(name, value)
    return table


def _counts(figures: Figures) -> Iterator[tuple[str, str]]:
    yield "completed, refused, failed", f"{figures.completed}, {figures.refused}, {figures.failed}"
    yield "partials a second and session", f"{figures.partials_per_s:.2f}"
    yield "flicker (words taken back per word)", "-" if figures.flicker is None else f"{figures.flicker:.3f}"
    yield "WER", "-" if figures.wer is None else f"{figures.wer:.1%} of {figures.reference_words} words"
    yield "gateway", _cost(figures.gateway)
    for name, cost in figures.workers.items():
        yield f"worker {name}", _cost(cost)
    if not figures.workers:
        yield "workers", _cost(None)
    yield "this generator", f"{figures.own_cpu_ms_per_stream_s:.2f} ms of CPU a second and session"


def _cost(cost: Cost | None) -> str:
    return "not told" if cost is None else f"{cost.cores:.2f} cores, {cost.memory_mib:.0f} MiB"


def table_of_probes(capacity: Capacity) -> Table:
    """Give every probe of a search, by number of sessions."""
    title = f"Probes, p95 lag within {capacity.bound_ms:g} ms"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for column in ("sessions", "p50", "p95", "p99", "refused", "failed", "own p95"):
        table.add_column(column, justify="right")
    table.add_column("")
    for probe in sorted(capacity.probes, key=lambda probe: probe.sessions):
        lag, own = probe.figures.lag_ms, probe.figures.own_late_ms
        lags = (f"{lag.p50:.0f}", f"{lag.p95:.0f}", f"{lag.p99:.0f}") if lag else ("-",) * 3
        counts = (str(probe.figures.refused), str(probe.figures.failed))
        table.add_row(str(probe.sessions), *lags, *counts, f"{own.p95:.0f}" if own else "-", probe.verdict.value)
    return table


def remarks(figures: Figures) -> list[str]:
    """Give what a reader must know before believing the figures, in sentences."""
    said = [f"{one.sessions} × {one.code}: {one.sentence}" for one in figures.failures]
    if figures.interrupted:
        said.append("Interrupted: these are the figures up to then.")
    if not figures.trusted and figures.own_late_ms:
        said.append(
            f"Not to be trusted: the generator sent late itself (p95 {figures.own_late_ms.p95:.0f} ms, "
            f"more than {OWN_LATE_BOUND_MS:.0f}). Run it elsewhere, or with fewer sessions."
        )
    if figures.lag_ms is None and not figures.failures and not figures.interrupted:
        said.append("No partial came while all sessions were live: is there speech in the clips?")
    return said


def conclusion(capacity: Capacity) -> str:
    """Give the answer of a search in a sentence."""
    limit = capacity.limit
    if limit is None:
        return f"At least {capacity.largest} sessions hold; the search did not come to a bound."
    whose = "the generator holds" if limit.verdict is Verdict.UNTRUSTED else "hold"
    return f"{capacity.largest} sessions {whose}; {limit.sessions} do not: {limit.verdict.value}."
