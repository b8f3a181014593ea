"""The memory that a worker holds."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scribewire.worker.memory import held_bytes

MIB = 1024 * 1024


def test_memory_that_is_taken_is_counted() -> None:
    before = held_bytes()
    taken = bytearray(os.urandom(64 * MIB))
    assert held_bytes() - before > 0.9 * len(taken)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc/self/smaps_rollup")
@pytest.mark.e2e
def test_what_a_forked_child_shares_counts_once() -> None:
    shared = bytearray(os.urandom(64 * MIB))
    before = held_bytes()
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tells, b"!")
        signal.pause()
        os._exit(0)
    try:
        os.read(told, 1)
        assert abs(held_bytes() - before) < 0.5 * len(shared)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tells)


def test_the_figure_is_in_bytes() -> None:
    assert 5 * MIB < held_bytes() < 64 * 1024 * MIB
