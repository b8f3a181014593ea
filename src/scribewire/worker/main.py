"""Runs a worker: starts its nursery first, then all the rest."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from scribewire import lifeline
from scribewire.engines.base import Engine
from scribewire.engines.selection import create_all
from scribewire.errors import BadSettings, ScribewireError
from scribewire.loading import loading
from scribewire.settings import Settings
from scribewire.worker.address import needs_secret
from scribewire.worker.lanes import RemoteNursery
from scribewire.worker.pipes import Begin
from scribewire.worker.spawn import NurseryChild, spawn_nursery


def run(
    settings: Settings, *, listen: str, name: str, lifeline_fd: int | None = None, child: NurseryChild | None = None
) -> int:
    """Run a worker until it is told to stop, and give its exit status. To be called in the main thread.

    `listen` is `unix:<path>` or `tcp:<host>:<port>`. With `lifeline_fd`, the read end of a pipe, the worker ends at
    once when the pipe's other end closes. `child` is a nursery that was started already. Raises BadSettings when it
    cannot listen there, or may not without a secret.
    """
    if needs_secret(listen) and not settings.worker.secret:
        raise BadSettings("A worker that other machines can call needs a secret: set worker.secret, here and there.")
    if lifeline_fd is not None:
        # Whoever started this drains it; a Ctrl-C that was meant for them is not for us.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        lifeline.end_with(lifeline_fd)
    engines = create_all(settings)
    in_lanes = [choice for choice, engine in engines.items() if needs_lanes(engine)]
    logs = settings.server
    nursery = None
    if in_lanes or child:
        begin = Begin(logs.log_format, logs.log_level, str(settings.models_dir), settings.engines.device)
        nursery = RemoteNursery(child or spawn_nursery(), begin)
    try:
        if nursery is not None and in_lanes:
            # The nursery loads while the rest is imported, which takes as long.
            nursery.preload(in_lanes[0])
        with loading():
            from scribewire.worker.service import Worker

        worker = Worker(settings, listen=listen, name=name, engines=engines, nursery=nursery)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(worker.serve())
    finally:
        if nursery is not None:
            nursery.close()


def needs_lanes(engine: Engine | ScribewireError) -> bool:
    """Say whether its streams need processes of their own."""
    return isinstance(engine, Engine) and not engine.traits.releases_gil


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
