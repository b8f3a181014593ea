"""Where things lie on this machine: the data folder and the files in it that programs find each other by."""

from __future__ import annotations

import os
from pathlib import Path

# The first key's secret and a newline, mode 0600.
ADMIN_KEY_FILE = "admin.key"
# `{"url": …, "pid": …}` of the service that runs on this folder.
SERVE_FILE = "serve.json"


def default_data_dir() -> Path:
    """Give the data folder of this user (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "scribewire"
