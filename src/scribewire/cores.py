"""The cores that this process may run on."""

from __future__ import annotations

import os
import sys


def usable_cores() -> int:
    """Count them; a pod's quota is not minded."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
