"""Runs a worker as `python -m scribewire.worker`, without the command line's libraries: for the local scaler."""

from __future__ import annotations

import argparse
import sys

from scribewire.loading import loading
from scribewire.worker.spawn import spawn_nursery


def main() -> int | str:
    """Read the arguments and run; give what to exit with."""
    parser = argparse.ArgumentParser(prog="python -m scribewire.worker", description="Run one worker by itself.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS", help="unix:<path> or tcp:<host>:<port>")
    parser.add_argument("--name", default="worker", help="how the worker is called in logs and metrics")
    parser.add_argument(
        "--lifeline-fd", type=int, help="descriptor of a pipe; the worker ends when its other end closes"
    )
    given = parser.parse_args()
    # Before all else is imported: most engines want one, and its start is the longest part of ours.
    child = spawn_nursery()
    with loading():
        from scribewire import settings
        from scribewire.errors import ScribewireError
        from scribewire.logs import configure_logs
        from scribewire.worker.main import run

    try:
        loaded = settings.load()
        configure_logs(log_format=loaded.server.log_format, log_level=loaded.server.log_level)
        return run(loaded, listen=given.listen, name=given.name, lifeline_fd=given.lifeline_fd, child=child)
    except ScribewireError as error:
        return str(error)


sys.exit(main())
