"""Make the speech, silence and noise clips of the tests and the sample of the demo, with flite; run by `make clips`.

The clips are committed, so that only who changes them needs flite (the Debian package of that name).
"""

from __future__ import annotations

import math
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parent.parent
CLIPS = ROOT / "tests" / "clips"
ASSETS = ROOT / "src" / "scribewire" / "assets"
RATE_HZ = 16_000
SEED = 20


@dataclass(frozen=True)
class Speech:
    """Sentences in one voice, with a pause between them."""

    name: str
    voice: str
    sentences: tuple[str, ...]
    pause_s: float = 0.7
    group: str = "sentence"


# Two short utterances, so that the demo shows a final before the end.
SAMPLE = Speech(
    "sample",
    "rms",
    (
        "We walked along the road until the sun went down behind the hills.",
        "She opened the window because the room was warm in the afternoon.",
    ),
)
# The sentences that PocketSphinx knows best: tests of the service should not hang on the recogniser.
SPEECH = (
    Speech("rms-train", "rms", ("The train to the city leaves in the morning and comes back at night.",)),
    Speech("rms-doctor", "rms", ("The doctor told him that he would have to stay in the hospital.",)),
    Speech("awb-weather", "awb", ("I think that we should wait until the weather is better.",)),
    Speech("awb-road", "awb", ("We walked along the road until the sun went down behind the hills.",)),
    Speech("slt-meeting", "slt", ("The meeting will begin on Monday at half past nine.",)),
    Speech("kal16-garden", "kal16", ("My father worked in the garden every day of the summer.",)),
    Speech("awb-digits", "awb", ("One two three four five six seven eight nine ten.",), group="numbers"),
    Speech(
        "awb-price",
        "awb",
        ("The price went up from three hundred to four hundred and fifty dollars.",),
        group="numbers",
    ),
    Speech(
        "rms-pauses",
        "rms",
        (
            "It was the best of times.",
            "They waited in the garden.",
            "My father worked every day.",
        ),
        pause_s=1.5,
        group="pauses",
    ),
)


def speak(speech: Speech) -> bytes:
    """Give the sentences as s16le at 16 kHz, mono, with digital silence between them."""
    pause = bytes(2 * round(RATE_HZ * speech.pause_s))
    return pause.join(_say(speech.voice, sentence) for sentence in speech.sentences)


def _say(voice: str, sentence: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wav"
        subprocess.run(["flite", "-voice", voice, "-t", sentence, "-o", str(out)], check=True)
        with wave.open(str(out)) as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (RATE_HZ, 2, 1), voice
            pcm: bytes = file.readframes(file.getnframes())
            return pcm


def words_of(speech: Speech) -> str:
    """Give the reference: lower case, no punctuation."""
    return " ".join("".join(c for c in " ".join(speech.sentences).lower() if c.isalpha() or c in " '").split())


def silence(seconds: float) -> bytes:
    """Give digital silence."""
    return bytes(2 * round(RATE_HZ * seconds))


def white_noise(seconds: float, level: float) -> bytes:
    """Give Gaussian noise of `level` RMS, of 1."""
    rng = random.Random(SEED)
    return _pcm([rng.gauss(0, level) for _ in range(round(RATE_HZ * seconds))])


def mains_hum(seconds: float, level: float) -> bytes:
    """Give 50 Hz with its odd harmonics, falling, of `level` at the fundamental, of 1."""
    steps = range(round(RATE_HZ * seconds))
    return _pcm([sum(level / k * math.sin(2 * math.pi * 50 * k * t / RATE_HZ) for k in (1, 3, 5, 7)) for t in steps])


def _pcm(samples: list[float]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *(max(-32768, min(32767, round(s * 32767))) for s in samples))


def write_flac(path: Path, pcm: bytes) -> None:
    """Write FLAC at its strongest compression."""
    with av.open(str(path), "w", format="flac") as file:
        stream = file.add_stream("flac", rate=RATE_HZ, options={"compression_level": "12"})
        stream.layout = "mono"
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm)
        frame.sample_rate = RATE_HZ
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ, frame_size=4096)
        for block in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(stream.encode(block))
        file.mux(stream.encode(None))


def write_wav(path: Path, pcm: bytes) -> None:
    """Write WAV: the worker and the demo read it without a codec."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)


def main() -> int:
    """Make everything anew."""
    if shutil.which("flite") is None:
        print("flite is not installed: apt-get install flite", file=sys.stderr)
        return 1
    rows = [(s.name, s.group, s.voice, words_of(s), speak(s)) for s in SPEECH]
    rows += [
        ("silence", "nothing", "-", "", silence(5)),
        ("white-noise", "nothing", "-", "", white_noise(5, 0.003)),
        ("mains-hum", "nothing", "-", "", mains_hum(5, 0.1)),
    ]
    lines = ["file\tgroup\tvoice\tseconds\ttext"]
    for name, group, voice, text, pcm in rows:
        write_flac(CLIPS / f"{name}.flac", pcm)
        lines.append(f"{name}.flac\t{group}\t{voice}\t{len(pcm) / 2 / RATE_HZ:.2f}\t{text}")
    (CLIPS / "clips.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_wav(ASSETS / "sample.wav", speak(SAMPLE))
    (ASSETS / "sample.txt").write_text(words_of(SAMPLE) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
