"""`scribewire drain`: workers end with their last session, and others take their place."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

import typer

from scribewire.cli.local import DataDir, Key, Url, client_of
from scribewire.cli.terminal import say, waiting_for
from scribewire.client import Client
from scribewire.errors import NeverReady, NotFound, ScribewireError

_POLL_S: Final = 0.3
# The drain of a worker is bounded by the service; this is for its successor to load and measure itself.
_NEXT_WAIT_S: Final = 180.0


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(drain)


def drain(
    worker: Annotated[str, typer.Argument(metavar="[WORKER]", help="Its name, as /api/v4/fleet shows it.")] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="One after the other: a rolling restart.")] = False,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Have workers take no more sessions and end. The sessions that they have move to others and lose nothing."""
    if bool(worker) == every:
        raise typer.BadParameter("name a worker, or say --all")
    asyncio.run(_drain(worker, url, key, data_dir))


async def _drain(worker: str, url: Url, key: Key, data_dir: DataDir) -> None:
    async with client_of(url, key, data_dir) as client:
        workers = {row["worker"]: row for row in await _workers(client)}
        if worker and worker not in workers:
            raise NotFound(f"There is no worker {worker}; there are: {', '.join(workers) or 'none'}.")
        if not workers:
            say("There are no workers.")
        for name in [worker] if worker else list(workers):
            with waiting_for(f"Draining {name}, which has {workers[name]['live']} sessions"):
                await client.drain(name)
                await _wait_replaced(client, workers[name], ready=_count_ready(workers.values()))


async def _wait_replaced(client: Client, old: dict[str, Any], *, ready: int) -> None:
    """Wait until it has left, for good or to come back under its name, and as many workers are ready as were before."""
    deadline = time.monotonic() + _NEXT_WAIT_S
    left = False
    while True:
        rows = await _workers(client)
        row = next((row for row in rows if row["worker"] == old["worker"]), None)
        # Another number is another process, and the same one need not be the same: in containers all have it.
        left = left or row is None or row["phase"] != "ready" or row["pid"] != old["pid"]
        if left and (row is None or row["phase"] == "ready") and _count_ready(rows) >= ready:
            return
        if time.monotonic() > deadline:
            reasons = " ".join(row["reason"] for row in rows if row["reason"])
            raise NeverReady(f"{old['worker']} was not replaced within {_NEXT_WAIT_S:.0f} s. {reasons}".strip())
        await asyncio.sleep(_POLL_S)


async def _workers(client: Client) -> list[dict[str, Any]]:
    rows = (await client.fleet())["workers"]
    if not isinstance(rows, list):
        raise ScribewireError("The service does not say which workers it has.")
    return rows


def _count_ready(rows: Any) -> int:
    return sum(row["phase"] == "ready" for row in rows)
