"""Starts a nursery. Imports next to nothing, so that it can be the first thing that a worker does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scribewire.lifeline import Lifeline

# Has glibc's malloc ask for huge pages. A search walks its memory at random, and lanes share those of their nursery:
# decoding costs up to a ninth less, a fork a quarter. Elsewhere than on Linux nothing reads it.
TUNABLES: Final = "GLIBC_TUNABLES"
HUGE_PAGES: Final = "glibc.malloc.hugetlb=1"


@dataclass(frozen=True, slots=True)
class NurseryChild:
    """The process, the socket it is told things on, and what ends it when we die."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    lifeline: Lifeline


def spawn_nursery() -> NurseryChild:
    """Start a nursery, which waits to be told what to load. To be called in a thread that stays."""
    lifeline = Lifeline()
    ours, theirs = socket.socketpair()
    with theirs:
        descriptors = (theirs.fileno(), lifeline.read_fd)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "scribewire.worker.nursery", *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,
            env=with_huge_pages(os.environ),
        )
    ours.settimeout(0)
    return NurseryChild(process, ours, lifeline)


def with_huge_pages(environment: Mapping[str, str]) -> dict[str, str]:
    """Give an environment whose processes want huge pages. What it says itself comes last, which is what holds."""
    said = environment.get(TUNABLES)
    return {**environment, TUNABLES: f"{HUGE_PAGES}:{said}" if said else HUGE_PAGES}
