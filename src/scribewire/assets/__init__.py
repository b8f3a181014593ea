"""The speech sample that the wheel carries, synthetic: the demo streams it, and a worker measures its speed with it."""

from __future__ import annotations

import wave
from importlib.resources import files


def sample_pcm() -> bytes:
    """Give about nine seconds of two sentences: s16le, 16 kHz, mono."""
    with (files(__name__) / "sample.wav").open("rb") as file, wave.open(file) as audio:
        pcm: bytes = audio.readframes(audio.getnframes())
        return pcm


def sample_text() -> str:
    """Give the sample's words: lower case, no punctuation."""
    return (files(__name__) / "sample.txt").read_text(encoding="utf-8").strip()
