"""Dying with the parent: a pipe that only the parent holds open, and a child that ends when it closes.

A pipe works everywhere, however the parent dies; on Linux the kernel is asked as well, because it also ends a child
that is busy. That signal comes when the *thread* that made the child ends: make children in a thread that stays.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


class Lifeline:
    """The parent's side. A child made by exec inherits `read_fd` when it is passed; one made by fork calls `let_go`."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()

    def let_go(self) -> None:
        """Close the write end: in a forked child, which must not hold itself alive."""
        os.close(self._write_fd)

    def close(self) -> None:
        """Tell every child to end."""
        os.close(self.read_fd)
        os.close(self._write_fd)


def follow_parent(read_fd: int) -> None:
    """Be killed when the parent dies, where the kernel offers that. Ends this process if it is too late already."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before it could be followed.
    if select.select([read_fd], [], [], 0)[0]:
        os._exit(0)


def end_with(read_fd: int) -> None:
    """Follow the parent, and watch the pipe in a thread, which ends this process at once."""
    follow_parent(read_fd)
    threading.Thread(target=_wait_end, args=(read_fd,), name="lifeline", daemon=True).start()


def _wait_end(read_fd: int) -> None:
    os.read(read_fd, 1)
    os._exit(0)
