"""Limits: the bounds of one session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scribewire.core.audio import samples_of_s

MAX_BAD_MESSAGES: Final = 20  # the contract
# Losses in a row without a sample settled: audio that kills every decoder must not be carried round for ever.
MAX_LOSSES: Final = 5
# The contract: with a stream open, a held-back client is read from again within 5 s, so that its pings are answered.
MAX_PAUSE_S: Final = 4.0
RESUME_SAMPLES: Final = samples_of_s(2.0)  # hysteresis between pausing and reading on


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one session; times in seconds, audio in samples."""

    start_wait_s: float = 15.0
    open_wait_s: float = 135.0
    replace_wait_s: float = 35.0
    idle_s: float = 600.0
    stall_s: float = 15.0
    handover_s: float = 10.0
    grace_s: float = 20.0
    kept_samples: int = samples_of_s(120.0)
    backlog_samples: int = samples_of_s(10.0)
    window_samples: int = samples_of_s(4.0)
