"""Score gate and PocketSphinx alone, in one process: WER by group, words out of noise, CPU and first partials."""

from __future__ import annotations

import argparse
import math
import random
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import pocketsphinx

from scoring import by_group, noise_clips, print_table, speech_clips
from scribewire.bench.wer import score
from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, s_of_samples
from scribewire.core.words import Word
from scribewire.engines.base import Engine, Outcome, Stream
from scribewire.engines.gate import Gate, SegmentClosed, SegmentOpened, Speech, create_gate
from scribewire.engines.table import create
from scribewire.settings import GateSettings


@dataclass(slots=True)
class Heard:
    """What one clip gave, and what it cost."""

    words: tuple[Word, ...] = ()
    gate_cpu_s: float = 0.0
    decoder_cpu_s: float = 0.0
    first_partial_samples: int | None = None
    segments: int = 0
    again: int = 0

    @property
    def text(self) -> str:
        """Join the words."""
        return " ".join(word.text for word in self.words)


class Decoding:
    """One stream of an engine, fed by segments and begun again when it asks for that."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stream: Stream = engine.open()
        self._first_sample = 0
        self._windows: list[bytes] = []
        self.again = 0

    def begin(self, first_sample: int) -> None:
        """Open a segment."""
        self._first_sample = first_sample
        self._windows.clear()
        self._stream.begin(first_sample)

    def feed(self, pcm: bytes) -> tuple[str, ...]:
        """Decode one more window; give the partial."""
        self._windows.append(pcm)
        self._stream.accept(pcm)
        while self._engine.step([self._stream]) == [Outcome.AGAIN]:
            self._restart()
        return self._stream.partial()

    def finish(self) -> tuple[Word, ...]:
        """End the segment; give its words."""
        while isinstance(words := self._stream.finish(), Outcome):
            self._restart()
        return words

    def close(self) -> None:
        """Free the stream."""
        self._stream.close()

    def _restart(self) -> None:
        self.again += 1
        self._stream.begin(self._first_sample)
        for pcm in self._windows:
            self._stream.accept(pcm)


def recognise(gate: Gate, engine: Engine, pcm: bytes) -> Heard:
    """Run one clip through a fresh stream, window by window, and end it where the clip ends."""
    heard = Heard()
    before, decoding = gate.open(0), Decoding(engine)
    before.accept(pcm)
    while True:
        began = time.process_time()
        if is_last := not before.pending:
            before.end_segment()
        gate.step([before])
        events = before.take()
        heard.gate_cpu_s += time.process_time() - began
        for event in events:
            began = time.process_time()
            match event:
                case SegmentOpened(first_sample):
                    heard.segments += 1
                    decoding.begin(first_sample)
                case Speech(window):
                    if decoding.feed(window) and heard.first_partial_samples is None:
                        heard.first_partial_samples = before.position
                case SegmentClosed():
                    heard.words += decoding.finish()
            heard.decoder_cpu_s += time.process_time() - began
        if is_last:
            break
    heard.again = decoding.again
    decoding.close()
    return heard


def made_noises(seconds: int = 5) -> Iterator[tuple[str, bytes]]:
    """Give digital silence, white noise (seeded) and mains hum of 50 Hz with two overtones."""
    count = seconds * SAMPLE_RATE_HZ
    pack = struct.Struct(f"<{count}h").pack
    yield "silence", bytes(count * SAMPLE_BYTES)
    rng = random.Random(1)
    yield "white noise", pack(*(round(rng.gauss(0, 1000)) for _ in range(count)))
    turn = 2 * math.pi * 50 / SAMPLE_RATE_HZ
    wave = (
        3000 * math.sin(turn * n) + 900 * math.sin(3 * turn * n) + 500 * math.sin(5 * turn * n) for n in range(count)
    )
    yield "mains hum", pack(*map(round, wave))


def yardstick(pcms: Sequence[bytes]) -> float:
    """Give CPU-seconds per audio-second of PocketSphinx as it comes: what the other figures are to be held against."""
    decoder = pocketsphinx.Decoder(loglevel="FATAL")
    began = time.process_time()
    for pcm in pcms:
        decoder.start_utt()
        decoder.process_raw(pcm)
        decoder.end_utt()
    return (time.process_time() - began) / s_of_samples(sum(map(len, pcms)) // SAMPLE_BYTES)


def main() -> None:
    """Print all figures of one profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=("fast", "quality"), default="fast")
    profile = parser.parse_args().profile

    gate, engine = create_gate(GateSettings()), create(f"pocketsphinx:{profile}")
    began = time.perf_counter()
    engine.load()
    print(
        f"profile {profile}, loaded in {time.perf_counter() - began:.2f} s; clips as they are, a fresh stream for each"
    )

    runs = [(clip, pcm, recognise(gate, engine, pcm)) for clip, pcm in ((clip, clip.pcm()) for clip in speech_clips())]
    print_table([(f"bare {profile}", by_group((clip, score(clip.text, heard.text)) for clip, _, heard in runs))])

    audio_s = s_of_samples(sum(len(pcm) for _, pcm, _ in runs) // SAMPLE_BYTES)
    gate_cpu = sum(heard.gate_cpu_s for *_, heard in runs) / audio_s
    decoder_cpu = sum(heard.decoder_cpu_s for *_, heard in runs) / audio_s
    print(f"CPU-s per audio-s: {gate_cpu + decoder_cpu:.3f} (gate {gate_cpu:.4f}, decoder {decoder_cpu:.3f})")
    print(
        f"the same of PocketSphinx as it comes, on every sixth clip: {yardstick([pcm for _, pcm, _ in runs[5::6]]):.3f}"
    )
    print(f"segments {sum(heard.segments for *_, heard in runs)}, begun again {sum(heard.again for *_, heard in runs)}")
    partials = [s_of_samples(heard.first_partial_samples) for *_, heard in runs if heard.first_partial_samples]
    print(f"first partial, seconds of the clip: median {median(partials):.2f}, longest {max(partials):.2f}")

    noises = [*((clip.path.stem, clip.pcm()) for clip in noise_clips()), *made_noises()]
    invented = {name: text for name, pcm in noises if (text := recognise(gate, engine, pcm).text)}
    print(f"words out of {len(noises)} noises: {sum(len(text.split()) for text in invented.values())}", invented or "")


if __name__ == "__main__":
    main()
