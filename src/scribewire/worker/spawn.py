"""Starts a nursery. Imports next to nothing, so that it can be the first thing that a worker does."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass

from scribewire.lifeline import Lifeline


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
        )
    ours.settimeout(0)
    return NurseryChild(process, ours, lifeline)
