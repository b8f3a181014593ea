"""Measure how partials flicker: words shown and then taken back, with all partials and with stable ones only."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import mean, median

import av

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES, s_of_samples
from scribewire.core.events import Partial
from scribewire.core.pacing import PartialPacer
from scribewire.engines.base import Engine
from scribewire.engines.gate import Gate, create_gate
from scribewire.engines.table import create
from scribewire.frames import FinalResult, Finish, Frame, Open, PartialResult
from scribewire.settings import GateSettings
from scribewire.worker.quanta import decode_all
from scribewire.worker.scheduler import QUANTUM_WINDOWS
from scribewire.worker.track import Track

CLIPS = Path(__file__).resolve().parents[1] / "tests" / "clips"
MODES = {"all": False, "stable": True}


@dataclass(slots=True)
class Flicker:
    """What the viewers of some clips saw. `kept` are pairs: the stability of a partial, the share of it that stayed."""

    words: int = 0
    taken_back: int = 0
    partials: int = 0
    speech_s: float = 0.0
    delays_s: list[float] = field(default_factory=list)
    kept: list[tuple[float, float]] = field(default_factory=list)

    def add(self, partials: list[Partial], final: FinalResult) -> None:
        """Count one segment."""
        said = [word for word, *_ in final.words]
        texts = [partial.text.split() for partial in partials] + [said]
        self.words += len(said)
        self.taken_back += sum(len(a) - _common(a, b) for a, b in pairwise(texts))
        self.partials += len(partials)
        self.speech_s += s_of_samples(final.words[-1][2] - final.words[0][1])
        samples = [partial.sample for partial in partials] + [final.sample]
        for count, (_, _, end, _) in enumerate(final.words, start=1):
            wrong = [at for at, text in enumerate(texts) if _common(text, said) < count]
            self.delays_s.append(s_of_samples(samples[wrong[-1] + 1 if wrong else 0] - end))
        self.kept += [
            (partial.stability, _common(text, said) / len(text)) for partial, text in zip(partials, texts, strict=False)
        ]


def _common(some: list[str], others: list[str]) -> int:
    """Give how many words two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False)))


def recognise(gate: Gate, engine: Engine, pcm: bytes, *, stable_only: bool) -> Iterator[Frame]:
    """Put a clip through a track as a worker does that keeps up, a window at a time."""
    opened = Open(1, "", "en", "fast", first_sample=0, partial=True, actual_numbers=False, resume=b"")
    track = Track(opened, gate, stable_only=stable_only)
    stream = engine.open()
    for at in range(0, len(pcm), WINDOW_BYTES):
        track.receive(pcm[at : at + WINDOW_BYTES], 0.0)
        if at + WINDOW_BYTES >= len(pcm):
            track.flush(Finish(1))
        while track.gate_stream.pending:
            gate.step([track.gate_stream])
            track.judged()
        yield from track.drain()
        while track.waiting_since is not None:
            [decoded] = decode_all(engine, [(stream, track.take_quantum(QUANTUM_WINDOWS))], lambda: 0.0)
            yield from track.apply(decoded, 0.0)
            yield from track.drain()
    stream.close()


def measure(gate: Gate, engine: Engine, pcms: list[bytes], *, stable_only: bool) -> Flicker:
    """Show clips to nobody, at the pace that a session's partials have, and count."""
    flicker = Flicker()
    for pcm in pcms:
        pacer, shown = PartialPacer(), list[Partial]()
        for frame in recognise(gate, engine, pcm, stable_only=stable_only):
            if isinstance(frame, PartialResult):
                partial = Partial(frame.text, frame.sample, frame.stability)
                if sent := pacer.offer(partial, s_of_samples(frame.sample)):
                    shown.append(sent)
            elif isinstance(frame, FinalResult):
                flicker.add(shown, frame)
                pacer.end_segment(frame.sample)
                shown = []
    return flicker


def read_clips(folder: Path) -> list[bytes]:
    """Give the samples of every clip in which something is said."""
    with (folder / "clips.tsv").open(encoding="utf-8") as file:
        names = [row["file"] for row in csv.DictReader(file, delimiter="\t") if row["text"]]
    pcms = []
    for name in names:
        with av.open(str(folder / name)) as clip:
            pcms.append(b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in clip.decode(audio=0)))
    return pcms


def main() -> None:
    """Print a row for each mode, and how well stability foretells what stays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=CLIPS, help="where clips.tsv and the clips lie")
    pcms = read_clips(parser.parse_args().folder)
    gate, engine = create_gate(GateSettings()), create("pocketsphinx:fast")
    engine.load()
    audio_s = s_of_samples(sum(map(len, pcms)) // SAMPLE_BYTES)
    print(f"{len(pcms)} clips, {audio_s:.1f} s, pocketsphinx:fast\n")
    print("| partials | taken back per word | partials per second | word end to shown for good, median |")
    print("| --- | --- | --- | --- |")
    measured = {mode: measure(gate, engine, pcms, stable_only=stable) for mode, stable in MODES.items()}
    for mode, flicker in measured.items():
        print(
            f"| {mode} | {flicker.taken_back / flicker.words:.2f} | {flicker.partials / flicker.speech_s:.1f} "
            f"| {1000 * median(flicker.delays_s):.0f} ms |"
        )
    said, stayed = zip(*measured["all"].kept, strict=True)
    print(f"\nstability: mean {mean(said):.2f}; share of a partial that stayed: mean {mean(stayed):.2f}")


if __name__ == "__main__":
    main()
