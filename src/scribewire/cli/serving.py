"""The commands that are the service: `serve`, and `worker`, which the scaler runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from scribewire.cli.terminal import out
from scribewire.errors import ExtraMissing
from scribewire.loading import loading

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="TOML file of settings.")]
ServiceDataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="FOLDER", help="Folder of the store, the first key and models.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(cls=_HelpWithSettings)(serve)
    app.command(cls=_HelpWithSettings)(worker)


class _HelpWithSettings(TyperCommand):
    """A command whose help ends with every setting; they are loaded only when the help is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        try:
            from scribewire.settings import table
        except ModuleNotFoundError:  # the base install has no settings, and its help says what it has
            return
        out.print("Settings, as environment variables or in the TOML file, where port in \\[server] is server.port:\n")
        for row in table():
            limits = ", ".join(part for part in (row.type, row.bounds, row.unit) if part)
            out.print(f"  [bold]{row.variable}[/bold]  {limits}  [dim]default: {row.default or '(empty)'}[/dim]")
            out.print(f"      {row.sentence}", highlight=False, markup=False)


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on (server.host).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one (server.port).")] = None,
    data_dir: ServiceDataDir = None,
    config: Config = None,
    lifeline_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the service: REST, WebSocket and the workers, on one port."""
    with needs_server("scribewire serve"), loading():
        from scribewire import settings

        # Before the gateway: what is wrong with the settings is said at once.
        loaded = settings.load(config, data_dir=data_dir, server={"host": host, "port": port})
        if loaded.scaler.kind == "local":  # elsewhere the workers have engines and models of their own
            from scribewire.engines.selection import check

            check(loaded)
        from scribewire.gateway import app
    if lifeline_fd is not None:
        threading.Thread(target=_end_with, args=(lifeline_fd,), name="lifeline", daemon=True).start()
    raise typer.Exit(app.serve(loaded))


def worker(
    *,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="unix:<path> or tcp:<host>:<port>.")],
    name: Annotated[str, typer.Option(help="How the worker is called in logs and metrics.")] = "worker",
    lifeline_fd: Annotated[
        int | None, typer.Option(help="Descriptor of a pipe; the worker ends when its other end closes.")
    ] = None,
    config: Config = None,
) -> None:
    """Run one worker by itself: it loads the engines and waits for gateways."""
    with needs_server("scribewire worker"), loading():
        from scribewire import settings

        loaded = settings.load(config)
        from scribewire.engines.selection import check

        check(loaded)
        from scribewire.worker import main
    raise typer.Exit(main.run(loaded, listen=listen, name=name, lifeline_fd=lifeline_fd))


def _end_with(lifeline_fd: int) -> None:
    """Ask this process to end in order once the pipe's other end closes, however its holder died."""
    os.read(lifeline_fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def needs_server(command: str) -> Iterator[None]:
    """Turn the absence of a library of the server extra into the sentence that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "scribewire":
            raise
        raise ExtraMissing(command, "server") from error
