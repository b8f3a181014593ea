"""What a worker has, and what decoding costs it: its cores, and a measurement on speech before it says ready."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES, s_of_samples
from scribewire.worker.quanta import Decoders, Quantum
from scribewire.worker.scheduler import QUANTUM_WINDOWS

# Enough speech for a cost within some 15 %, little enough not to be felt in a cold start.
MEASURED_BYTES: Final = 2 * 32_000
# An engine this slow is known well enough before it has decoded all of it.
ENOUGH_CPU_S: Final = 1.0
_QUANTUM_BYTES: Final = QUANTUM_WINDOWS * WINDOW_BYTES
_CGROUP_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def own_cores() -> float:
    """Give the cores that this process may use: its CPU quota in a pod, else all that it may run on."""
    usable = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    try:
        quota, period = _CGROUP_QUOTA.read_text(encoding="ascii").split()
        return usable if quota == "max" else min(usable, int(quota) / int(period))
    except (OSError, ValueError):
        return usable


async def measure_rtf(decoders: Decoders, pcm: bytes) -> float:
    """Decode speech as a stream's would be, and give the CPU seconds that a second of it cost.

    Raises EngineFailed.
    """
    decoder = await decoders.open()
    try:
        cpu_s, at = 0.0, 0
        pcm = pcm[:MEASURED_BYTES]
        rewound = False
        while at < len(pcm) and cpu_s < ENOUGH_CPU_S:
            begin = 0 if at == 0 else None
            windows = [pcm[start : start + WINDOW_BYTES] for start in range(at, at + _QUANTUM_BYTES, WINDOW_BYTES)]
            at += _QUANTUM_BYTES
            quantum = Quantum(begin, [window for window in windows if window], finish=at >= len(pcm))
            [decoded] = await decoders.decode([(decoder, quantum)])
            cpu_s += decoded.cpu_s
            if decoded.again and not rewound:
                # A session's first second is decoded twice, once; what it costs to go on is wanted.
                rewound, cpu_s, at = True, 0.0, 0
        return cpu_s / s_of_samples(min(at, len(pcm)) // SAMPLE_BYTES)
    finally:
        decoder.close()
