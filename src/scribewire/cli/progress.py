"""How a transcription goes, as one line: how far, how loud, how late."""

from __future__ import annotations

import math
import time
from array import array
from dataclasses import dataclass

from rich.text import Text

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ

_FLOOR_DB = -60.0
_METER_CELLS = 8
_BAR_CELLS = 24
# Enough samples to say how loud a block is.
_LOUDNESS_SAMPLES = 800


@dataclass
class Progress:
    """Counts audio sent and text received. Without `total_s` the audio has no end that is known, as a microphone's.

    Audio that is sent at its own pace is as far as it is sent; audio that is sent ahead, as far as it is heard.
    """

    total_s: float | None
    is_paced: bool
    began: float = 0.0
    sent_s: float = 0.0
    heard_s: float = 0.0
    lag_s: float = 0.0
    level_db: float = _FLOOR_DB

    def begin(self) -> None:
        """Start the clock."""
        self.began = time.monotonic()

    def send(self, block: bytes) -> None:
        """Count audio that was sent."""
        self.sent_s += len(block) / SAMPLE_BYTES / SAMPLE_RATE_HZ
        self.level_db = loudness_db(block)

    def hear(self, offset_ms: int) -> None:
        """Note to where the text has come: the lag is the audio sent since."""
        self.heard_s = offset_ms / 1_000
        self.lag_s = max(0.0, self.sent_s - self.heard_s)

    def line(self, width: int) -> Text:
        """Give the line, at most `width` columns: what does not fit is left out, the last first."""
        parts = self._endless() if self.total_s is None else self._of_total(self.total_s)
        return Text.assemble(*_fitting(parts, width))

    def _endless(self) -> list[tuple[str, str]]:
        return [(f"● {clock(self.sent_s)}", "red"), *self._liveness()]

    def _of_total(self, total_s: float) -> list[tuple[str, str]]:
        at_s = min(self.sent_s if self.is_paced else self.heard_s, total_s)
        took_s = time.monotonic() - self.began
        left = clock((total_s - at_s) * took_s / at_s) if at_s else "-:--"
        speed = [(f"{at_s / took_s:.1f}×", "dim")] if at_s else []
        return [
            (f"{clock(at_s)} / {clock(total_s)}", ""),
            (f"{at_s / total_s:4.0%}", ""),
            (f"ETA {left}", ""),
            *(self._liveness() if self.is_paced else speed),
            (_cells(at_s / total_s, _BAR_CELLS, "━", "╌"), "cyan"),
        ]

    def _liveness(self) -> list[tuple[str, str]]:
        meter = _cells(1 - self.level_db / _FLOOR_DB, _METER_CELLS, "▮", "▯")
        lag = [(f"lag {self.lag_s:.1f} s", "dim")] if self.heard_s else []
        return [*lag, (meter, "green")]


def loudness_db(block: bytes) -> float:
    """Give the loudness of PCM in decibels below full scale, at least -60, from some of its samples."""
    samples = array("h", block[: len(block) // SAMPLE_BYTES * SAMPLE_BYTES])
    some = samples[:: max(1, len(samples) // _LOUDNESS_SAMPLES)]
    power = sum(sample * sample for sample in some) / max(len(some), 1) / 32_768**2
    return max(_FLOOR_DB, 10 * math.log10(power)) if power else _FLOOR_DB


def clock(seconds: float) -> str:
    """Give minutes and seconds, with hours where there are any."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"


def _cells(share: float, count: int, full: str, empty: str) -> str:
    filled = round(min(max(share, 0.0), 1.0) * count)
    return full * filled + empty * (count - filled)


def _fitting(parts: list[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    shown: list[tuple[str, str]] = []
    taken = 0
    for text, style in parts:
        gap = "  " if shown else ""
        taken += len(gap) + len(text)
        if taken > width:
            break
        shown += [(gap, ""), (text, style)]
    return shown
