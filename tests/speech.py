"""Speech for tests: the clips that the project made itself, and the optional folder of human speech."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import pytest

CLIPS = Path(__file__).parent / "clips"
SHARED_CLIPS = Path(os.environ.get("SCRIBEWIRE_CLIPS") or Path(__file__).parents[2] / "shared" / "clips")

needs_shared_clips = pytest.mark.skipif(
    not SHARED_CLIPS.is_dir(), reason="no folder of human speech: set SCRIBEWIRE_CLIPS"
)


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of tests/clips; `text` is empty for silence and noise."""

    name: str
    group: str
    voice: str
    text: str

    def pcm(self) -> bytes:
        """Decode it: s16le, 16 kHz, mono."""
        with av.open(str(CLIPS / f"{self.name}.flac")) as file:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
            frames = [block for frame in file.decode(audio=0) for block in resampler.resample(frame)]
            return b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames)


@cache
def clips() -> dict[str, Clip]:
    """Give all clips by name."""
    with (CLIPS / "clips.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {
        name: Clip(name, row["group"], row["voice"], row["text"])
        for row in rows
        if (name := row["file"].removesuffix(".flac"))
    }
