"""How clearly words stand out of their segment: a real figure where a recogniser gives no probabilities."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from scribewire.core.audio import WINDOW_SAMPLES

# The segment's quiet: its pre-roll and hang-over are about a tenth of an utterance or more, its pauses the rest.
_QUIET_PERCENTILE: Final = 10.0
# -60 dB of full scale: the quiet of a good microphone. Digital silence makes nothing clearer than that.
_QUIETEST: Final = 0.001


class Loudness:
    """The level of each window of a segment, 2 kB a minute."""

    def __init__(self) -> None:
        self._levels: list[float] = []

    def hear(self, samples: NDArray[np.float32]) -> None:
        """Take the next windows, whole but for the segment's last."""
        powers = np.square(samples)
        whole = len(powers) - len(powers) % WINDOW_SAMPLES
        self._levels += np.sqrt(powers[:whole].reshape(-1, WINDOW_SAMPLES).mean(axis=1)).tolist()
        if whole < len(powers):
            self._levels.append(float(np.sqrt(powers[whole:].mean())))

    def clarity(self, start_samples: int, end_samples: int) -> float:
        """Give the share of a word's level that is not the segment's quiet, 0…1: .9 is 20 dB above it, .5 is 6 dB.

        It says how well the word could be heard, not whether it was heard rightly.
        """
        first, last = start_samples // WINDOW_SAMPLES, (end_samples - 1) // WINDOW_SAMPLES
        spoken = self._levels[first : max(first, last) + 1]
        quiet = max(_QUIETEST, float(np.percentile(self._levels, _QUIET_PERCENTILE)))
        return max(0.0, 1.0 - quiet * len(spoken) / total) if (total := sum(spoken)) else 0.0
