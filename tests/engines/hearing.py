"""What the tests of engines with tiny models share: sound, what is heard in it, and what it leaves behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from scribewire.core.audio import WINDOW_BYTES
from scribewire.core.words import Word
from scribewire.engines.base import PLAIN, Engine, Options, Stream
from tests.speech import SHARED_CLIPS

SHARED_MODELS: Final = SHARED_CLIPS.parent / "models"
MOST_LEFT_BYTES: Final = 5 * 1024 * 1024


def noisy(pcm: bytes, level: float, *, seed: int = 1) -> bytes:
    """Add white noise, its level in sample values."""
    samples = np.frombuffer(pcm, "<i2") + np.random.default_rng(seed).normal(0, level, len(pcm) // 2)
    return samples.clip(-32_768, 32_767).astype("<i2").tobytes()


def feed(stream: Stream, pcm: bytes) -> None:
    """Give a stream audio as a worker does, without a step."""
    for at in range(0, len(pcm), WINDOW_BYTES):
        stream.accept(pcm[at : at + WINDOW_BYTES])


def follow(engine: Engine, stream: Stream, pcm: bytes) -> list[tuple[str, ...]]:
    """Give the partials window by window."""
    seen = []
    for at in range(0, len(pcm), WINDOW_BYTES):
        stream.accept(pcm[at : at + WINDOW_BYTES])
        engine.step([stream])
        seen.append(stream.partial())
    return seen


def hear(engine: Engine, pcm: bytes, options: Options = PLAIN) -> tuple[Word, ...]:
    """Give the words of one segment, through a stream of its own."""
    stream = engine.open(options=options)
    stream.begin(0)
    feed(stream, pcm)
    if not engine.traits.windowed:
        engine.step([stream])
    words = end(stream)
    stream.close()
    return words


def end(stream: Stream) -> tuple[Word, ...]:
    """Give the words of a segment that no engine here wants again."""
    words = stream.finish()
    assert isinstance(words, tuple), "heard in one go"
    return words


def finished(stream: Stream) -> list[str]:
    """End a segment and give what was said in it."""
    return texts(end(stream))


def texts(words: tuple[Word, ...]) -> list[str]:
    """Give what was said."""
    return [word.text for word in words]


def left_by_ten_thousand(open_stream: Callable[[], Stream], decode: Callable[[Stream], None], *, every: int) -> int:
    """Give the bytes that ten thousand streams leave, one in `every` of them decoded, after three thousand before."""
    process = psutil.Process(os.getpid())

    def cycle(times: int) -> int:
        for number in range(times):
            stream = open_stream()
            stream.begin(0)
            if number % every == 0:
                decode(stream)
            stream.close()
        gc.collect()
        return process.memory_info().rss

    before = cycle(3000)
    return cycle(10_000) - before


def models_beside_the_clips(pattern: str, *, levels: int = 1) -> list[Path]:
    """Give the folders of real models that hold such a file, `levels` below them."""
    found = SHARED_MODELS.glob(pattern) if SHARED_MODELS.is_dir() else []
    return sorted(path.parents[levels - 1] for path in found)
