"""How much memory a worker holds, together with the processes below it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def held_bytes() -> int:
    """Give what this process and all below it hold; pages that they share, as lanes do with their nursery, count once.

    Takes up to a millisecond a process. Where there is no /proc: the most that this process alone ever held.
    """
    if held := sum(map(_held_kib, _family("self"))):
        return held * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _family(pid: str) -> Iterator[str]:
    yield pid
    with suppress(OSError):
        for task in (_PROC / pid / "task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                yield from _family(child)


def _held_kib(pid: str) -> int:
    # "Pss" is the share of each page that falls to this process: the kernel's Documentation/filesystems/proc.rst.
    with suppress(OSError):
        for line in (_PROC / pid / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
