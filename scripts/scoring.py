"""Word error rates by group of clips, and the clips themselves: shared by the scripts that score recognition."""

from __future__ import annotations

import csv
import os
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scribewire.bench.wer import Score

CLIPS_VARIABLE = "SCRIBEWIRE_CLIPS"
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "clips"


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, and what is said in it; noise has neither text nor group."""

    path: Path
    text: str = ""
    group: str = ""

    def pcm(self) -> bytes:
        """Read the samples: s16le, 16 kHz, mono."""
        with wave.open(str(self.path)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2), self.path
            pcm: bytes = sound.readframes(sound.getnframes())
            return pcm


def clips_folder() -> Path:
    """Find the folder of the recordings: the variable SCRIBEWIRE_CLIPS, else shared/clips beside the repository.

    Raises FileNotFoundError when it is in neither.
    """
    folder = Path(os.environ.get(CLIPS_VARIABLE, _BESIDE))
    if not (folder / "clips.tsv").is_file():
        raise FileNotFoundError(f"No clips.tsv in {folder}: set {CLIPS_VARIABLE} to the folder of the recordings.")
    return folder


def speech_clips() -> list[Clip]:
    """Read clips.tsv."""
    folder = clips_folder()
    return [Clip(folder / row["file"], row["text"], row["group"]) for row in _rows(folder / "clips.tsv")]


def noise_clips() -> list[Clip]:
    """Read noise.tsv."""
    folder = clips_folder()
    return [Clip(folder / row["file"]) for row in _rows(folder / "noise.tsv")]


def by_group(scored: Iterable[tuple[Clip, Score]]) -> dict[str, Score]:
    """Pool scores by group, in alphabetical order, then all of them under `all`."""
    groups: dict[str, Score] = {}
    total = Score(0, 0)
    for clip, one in scored:
        groups[clip.group] = groups.get(clip.group, Score(0, 0)) + one
        total += one
    return {**dict(sorted(groups.items())), "all": total}


def print_table(columns: Sequence[tuple[str, dict[str, Score]]]) -> None:
    """Print WER by group, one column for each named run of the same clips."""
    print(f"{'group':<12}{'words':>6}" + "".join(f"{name:>18}" for name, _ in columns))
    for group, first in columns[0][1].items():
        print(f"{group:<12}{first.words:>6}" + "".join(f"{scores[group].wer:>18.3f}" for _, scores in columns))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
