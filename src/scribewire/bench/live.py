"""A table that moves while a run goes on."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from scribewire.bench.figures import percentile
from scribewire.bench.load import Run

# Drawing it costs the generator some milliseconds.
REFRESH_S: Final = 0.5


async def show(run: Run, console: Console) -> None:
    """Draw how the run stands until cancelled; on what is no terminal, nothing."""
    if not console.is_terminal:
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(table_of(run, time.monotonic()), refresh=True)
            await asyncio.sleep(REFRESH_S)


def table_of(run: Run, now: float) -> Table:
    """Give how a run stands."""
    meter = run.meter
    lags = sorted(1000 * lag_s for lag_s in meter.recent_lag_s(now))
    p50, p95 = (f"{percentile(lags, share):.0f} ms" if lags else "-" for share in (0.5, 0.95))
    left_s = max(0.0, run.began + run.plan.longest_s - now)
    table = Table(box=None, header_style="bold")
    cells = {
        "left": f"{left_s:.0f} s",
        "sessions live": f"{meter.live} of {run.plan.sessions}",
        "lag p50": p50,
        "lag p95": p95,
        "partials": str(meter.partials),
        "errors": str(meter.errors),
    }
    for name in cells:
        table.add_column(name, justify="right")
    table.add_row(*cells.values())
    return table
