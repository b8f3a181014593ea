#!/usr/bin/env python3
"""What conversion costs and how far it lags: CPU milliseconds per second of audio, for each format, as a table."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFormat
from scribewire.gateway.conversion import converter_of

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.gateway.encoding import Int16, contained, opus_packets, wav

SECONDS = 30
CHUNK_S = 0.1

Make = Callable[[Int16], Sequence[bytes]]


def _speechlike(rate_hz: int) -> Int16:
    """Give noise whose loudness comes and goes like that of syllables."""
    count = SECONDS * rate_hz
    loudness = 1 + np.sin(2 * np.pi * 4 / rate_hz * np.arange(count))
    noise: Int16 = (np.random.default_rng(1).normal(0, 2_000, count) * loudness).clip(-32768, 32767).astype(np.int16)
    return noise


def _cut(audio: bytes, *, chunk_s: float = CHUNK_S) -> list[bytes]:
    size = max(2, round(len(audio) * chunk_s / SECONDS) // 2 * 2)
    return [audio[at : at + size] for at in range(0, len(audio), size)]


def _in(container: str, codec: str, rate_hz: int) -> Make:
    return lambda samples: _cut(contained(samples, rate_hz=rate_hz, container=container, codec=codec))


def _companded(samples: Int16) -> bytes:
    return (samples >> 8).astype(np.uint8).tobytes()  # as many bytes, of any value


ROWS: dict[str, tuple[AudioFormat, int, Make]] = {
    "s16le 48k": (AudioFormat("linear16", 48_000), 48_000, lambda s: _cut(s.tobytes())),
    "s16le 48k, 20 ms": (AudioFormat("linear16", 48_000), 48_000, lambda s: _cut(s.tobytes(), chunk_s=0.02)),
    "s16le 44.1k stereo": (
        AudioFormat("linear16", 44_100, 2),
        44_100,
        lambda s: _cut(np.stack([s, s], axis=1).tobytes()),
    ),
    "s16le 8k": (AudioFormat("linear16", 8_000), 8_000, lambda s: _cut(s.tobytes())),
    "mu-law 8k": (AudioFormat("mulaw", 8_000), 8_000, lambda s: _cut(_companded(s))),
    "mu-law 8k, 20 ms": (AudioFormat("mulaw", 8_000), 8_000, lambda s: _cut(_companded(s), chunk_s=0.02)),
    "WAV 44.1k": (AudioFormat("container"), 44_100, lambda s: _cut(wav(s.tobytes(), rate_hz=44_100))),
    "Opus packets, 20 ms": (AudioFormat("opus", 48_000), 48_000, lambda s: list(opus_packets(s))),
    "Ogg Opus 48k": (AudioFormat("container"), 48_000, _in("ogg", "libopus", 48_000)),
    "WebM Opus 48k": (AudioFormat("container"), 48_000, _in("webm", "libopus", 48_000)),
    "FLAC 16k": (AudioFormat("container"), 16_000, _in("flac", "flac", 16_000)),
    "MP3 16k": (AudioFormat("container"), 16_000, _in("mp3", "libmp3lame", 16_000)),
    "MP3 44.1k": (AudioFormat("container"), 44_100, _in("mp3", "libmp3lame", 44_100)),
    "AAC ADTS 48k": (AudioFormat("container"), 48_000, _in("adts", "aac", 48_000)),
}


async def _measure(audio: AudioFormat, chunks: Sequence[bytes]) -> tuple[float, float, float]:
    """Give CPU milliseconds per second, seconds sent before the first sample, and the largest lag in seconds."""
    converter = await converter_of(audio)
    given, first_s, lag_s = 0, 0.0, 0.0
    before_s = time.process_time()
    for count, chunk in enumerate(chunks, 1):
        given += len(await converter.convert(chunk))
        sent_s = SECONDS * count / len(chunks)
        first_s = first_s or (sent_s if given else 0.0)
        lag_s = max(lag_s, sent_s - given / SAMPLE_BYTES / SAMPLE_RATE_HZ)
    await converter.drain(last=True)
    cpu_s = time.process_time() - before_s
    await converter.close()
    return 1_000 * cpu_s / SECONDS, first_s, lag_s


async def _main() -> None:
    print("| format | CPU ms per second | first sample after, s | largest lag, s |\n|---|---|---|---|")
    for name, (audio, rate_hz, make) in ROWS.items():
        cpu_ms, first_s, lag_s = await _measure(audio, make(_speechlike(rate_hz)))
        print(f"| {name} | {cpu_ms:.2f} | {first_s:.2f} | {lag_s:.2f} |")


if __name__ == "__main__":
    asyncio.run(_main())
