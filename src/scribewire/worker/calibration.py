"""What a worker has, and what decoding costs it: its cores, and a measurement on speech before it says ready."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES, WINDOW_SAMPLES, s_of_samples, samples_of_s
from scribewire.cores import usable_cores
from scribewire.worker.quanta import Decoders, Quantum
from scribewire.worker.scheduler import QUANTUM_WINDOWS

# Enough speech for a cost within some 20 %, little enough not to be felt in a cold start.
MEASURED_S: Final = 0.96
# What an utterance costs to begin is spread over seconds of speech, and would count for half in so short a measurement.
BEGINNING_S: Final = 0.3
# An engine this slow is known well enough before it has decoded all of it.
ENOUGH_CPU_S: Final = 1.0
_QUANTUM_BYTES: Final = QUANTUM_WINDOWS * WINDOW_BYTES
_QUANTUM_S: Final = s_of_samples(QUANTUM_WINDOWS * WINDOW_SAMPLES)
_BEGINNING_BYTES: Final = samples_of_s(BEGINNING_S) * SAMPLE_BYTES
_CGROUP_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def own_cores() -> float:
    """Give the cores that this process may use: its CPU quota in a pod, else all that it may run on."""
    usable = float(usable_cores())
    try:
        quota, period = _CGROUP_QUOTA.read_text(encoding="ascii").split()
        return usable if quota == "max" else min(usable, int(quota) / int(period))
    except (OSError, ValueError):
        return usable


async def measure_rtf(decoders: Decoders, pcm: bytes) -> float:
    """Decode speech as a stream's would be, and give the CPU seconds that a second of it cost.

    `pcm` is longer than BEGINNING_S and MEASURED_S. Raises EngineFailed.
    """
    decoder = await decoders.open()
    try:
        cpu_s, audio_s, at, spent_s = 0.0, 0.0, 0, 0.0
        while audio_s < MEASURED_S and spent_s < ENOUGH_CPU_S:
            windows = [pcm[start : start + WINDOW_BYTES] for start in range(at, at + _QUANTUM_BYTES, WINDOW_BYTES)]
            [decoded] = await decoders.decode([(decoder, Quantum(0 if at == 0 else None, windows))])
            spent_s += decoded.cpu_s
            at = 0 if decoded.again else at + _QUANTUM_BYTES
            if at > _BEGINNING_BYTES or spent_s >= ENOUGH_CPU_S:
                cpu_s += decoded.cpu_s
                audio_s += _QUANTUM_S
        return cpu_s / audio_s
    finally:
        decoder.close()
