"""Which service and which key: what was asked for, else what a service on this machine left in its data folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from scribewire.client import Client
from scribewire.client.aio import is_loopback
from scribewire.errors import NotAuthenticated
from scribewire.places import ADMIN_KEY_FILE, SERVE_FILE, default_data_dir

DEFAULT_URL = "http://127.0.0.1:8000"

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="SCRIBEWIRE_URL", help="The service; unset, the one of the data folder."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="SCRIBEWIRE_KEY",
        show_envvar=True,
        help="The key; unset, the first key of the service on this machine.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="SCRIBEWIRE_DATA_DIR", help="The data folder of the service on this machine."),
]


def client_of(url: str | None, key: str | None, data_dir: Path | None) -> Client:
    """Give the client that the options mean.

    Raises NotAuthenticated when no key is given and none is found.
    """
    folder = data_dir or default_data_dir()
    url = url or served_url(folder) or DEFAULT_URL
    # The key in the data folder is this machine's: it is shown to nobody else.
    key = key or (_read_key(folder) if is_loopback(url) else None)
    if not key:
        raise NotAuthenticated(
            "No key: set SCRIBEWIRE_KEY or pass --key; on the service's own machine, --data-dir finds its first key."
        )
    return Client(url, key)


def served_url(folder: Path) -> str | None:
    """Give the URL of the service that runs on this data folder, or None when none does."""
    try:
        served = json.loads((folder / SERVE_FILE).read_text(encoding="utf-8"))
        os.kill(int(served["pid"]), 0)
        return str(served["url"])
    except PermissionError:  # the process lives, as another user
        return str(served["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_key(folder: Path) -> str | None:
    try:
        return (folder / ADMIN_KEY_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return None
