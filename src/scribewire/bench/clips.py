"""What the sessions say: clips, one after the other without end, and which of them a session said whole."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from scribewire.client.media import read_audio
from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, ms_of_samples, samples_of_ms
from scribewire.errors import NotFound, UnsupportedAudio

# A speaker's breath between two clips: long enough for an utterance to end.
GAP_MS: Final = 600
# Speech begins with the first 20 ms of this level: -40 dB of full scale.
ONSET_SAMPLES: Final = samples_of_ms(20)
ONSET_LEVEL: Final = 328


@dataclass(frozen=True)
class Clip:
    """A recording (s16le, 16 kHz, mono), and the words in it where they are known."""

    name: str
    pcm: bytes
    text: str | None = None

    @cached_property
    def onset_ms(self) -> int | None:
        """Give where sound begins; None in a clip that is quiet throughout."""
        samples = array("h", self.pcm[: len(self.pcm) // SAMPLE_BYTES * SAMPLE_BYTES])
        for at in range(0, len(samples), ONSET_SAMPLES):
            piece = samples[at : at + ONSET_SAMPLES]
            if sum(sample * sample for sample in piece) >= ONSET_LEVEL**2 * len(piece):
                return ms_of_samples(at)
        return None


class Span(NamedTuple):
    """A clip, and when a session says it, from the start of its audio."""

    clip: Clip
    start_ms: int
    end_ms: int


class Reel:
    """Clips in a ring, a pause after each. Every session enters it at a clip of its own."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        assert clips, "nothing to say"
        gap = bytes(samples_of_ms(GAP_MS) * SAMPLE_BYTES)
        parts = [clip.pcm[: len(clip.pcm) // SAMPLE_BYTES * SAMPLE_BYTES] + gap for clip in clips]
        self._clips = clips
        self._pcm = b"".join(parts)
        self._lengths = [len(part) for part in parts]
        self._starts = [0, *accumulate(self._lengths)]

    def audio(self, place: int, at_bytes: int, size_bytes: int) -> bytes:
        """Give a piece of what the session at `place` says."""
        at = (self._starts[place % len(self._clips)] + at_bytes) % len(self._pcm)
        piece = self._pcm[at : at + size_bytes]
        while len(piece) < size_bytes:
            piece += self._pcm[: size_bytes - len(piece)]
        return piece

    def spans(self, place: int) -> Iterator[Span]:
        """Give the clips that the session at `place` says, without end."""
        at = place % len(self._clips)
        start_bytes = 0
        while True:
            clip, length = self._clips[at], self._lengths[at]
            yield Span(clip, _ms(start_bytes), _ms(start_bytes + length) - GAP_MS)
            start_bytes += length
            at = (at + 1) % len(self._clips)

    def onset_ms(self, place: int) -> int | None:
        """Give where sound begins in what the session at `place` says; None when its whole round is quiet."""
        for span, _ in zip(self.spans(place), self._clips, strict=False):
            if span.clip.onset_ms is not None:
                return span.start_ms + span.clip.onset_ms
        return None


async def read_clips(paths: Iterable[Path], references: Path | None) -> list[Clip]:
    """Read clips, and their words from a table or from the .txt beside each.

    Raises NotFound when a file cannot be read, UnsupportedAudio when it is no audio or an empty one.
    """
    texts = read_references(references) if references else {}
    clips = []
    for path in paths:
        pcm = b"".join([block async for block in read_audio(str(path))])
        if len(pcm) < ONSET_SAMPLES * SAMPLE_BYTES:
            raise UnsupportedAudio(f"{path} holds no audio.")
        clips.append(Clip(path.name, pcm, _text_of(path, texts)))
    return clips


def read_references(table: Path) -> dict[str, str]:
    """Read a tab-separated table with the columns `file` and `text`. Raises NotFound when it is none."""
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        return {row["file"]: row["text"] or "" for row in rows}
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{table} cannot be read.") from error
    except KeyError as error:
        raise NotFound(f"{table} has no column {error}: a table of references has file and text.") from error


def _text_of(path: Path, texts: Mapping[str, str]) -> str | None:
    for name in (str(path), path.name):
        if name in texts:
            return texts[name]
    beside = path.with_suffix(".txt")
    try:
        return beside.read_text(encoding="utf-8").strip() if beside.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{beside} cannot be read.") from error


def _ms(size_bytes: int) -> int:
    return ms_of_samples(size_bytes // SAMPLE_BYTES)


def seconds_of(size_bytes: int) -> float:
    """Give the duration of some audio."""
    return size_bytes / SAMPLE_BYTES / SAMPLE_RATE_HZ
