"""vosk hears exactly what a tiny model must hear, and its segments depend on nothing but their audio."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import psutil
import pytest

from scoring import speech_clips
from scribewire.core.audio import SAMPLE_RATE_HZ, WINDOW_BYTES, samples_of_ms
from scribewire.core.events import Word
from scribewire.engines.base import Setup
from scribewire.engines.vosk import VoskEngine, VoskStream
from scribewire.errors import EngineMissing
from scribewire.tones import GAP_MS, VOCABULARY, WORD_MS, say, silence
from tests.speech import SHARED_CLIPS, needs_shared_clips
from tests.tiny import vosk

pytestmark = pytest.mark.e2e

SHARED_MODELS = SHARED_CLIPS.parent / "models"
LEAD_MS = 100
FRAME_SAMPLES = samples_of_ms(30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vosk.write(tmp_path_factory.mktemp("vosk"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[VoskEngine]:
    engine = loaded(folder)
    yield engine
    engine.close()


def loaded(folder: Path) -> VoskEngine:
    engine = VoskEngine(Setup(str(folder)))
    engine.load()
    return engine


def noisy(pcm: bytes, level: float, *, seed: int = 1) -> bytes:
    """Add white noise, its level in sample values."""
    samples = np.frombuffer(pcm, "<i2") + np.random.default_rng(seed).normal(0, level, len(pcm) // 2)
    return samples.clip(-32_768, 32_767).astype("<i2").tobytes()


def feed(stream: VoskStream, pcm: bytes) -> None:
    for at in range(0, len(pcm), WINDOW_BYTES):
        stream.accept(pcm[at : at + WINDOW_BYTES])


def hear(engine: VoskEngine, pcm: bytes) -> tuple[Word, ...]:
    stream = engine.open()
    stream.begin(0)
    feed(stream, pcm)
    engine.step([stream])
    words = stream.finish()
    stream.close()
    return words


def texts(words: tuple[Word, ...]) -> list[str]:
    return [word.text for word in words]


@pytest.mark.parametrize("level", [0, 20, 300])
def test_every_word_is_heard_where_it_was_said(engine: VoskEngine, level: int) -> None:
    words = hear(engine, noisy(silence(LEAD_MS) + say(VOCABULARY), level))

    assert texts(words) == list(VOCABULARY)
    for number, word in enumerate(words):
        start = samples_of_ms(LEAD_MS + number * (WORD_MS + GAP_MS))
        assert abs(word.start_sample - start) <= 2 * FRAME_SAMPLES
        assert abs(word.end_sample - start - samples_of_ms(WORD_MS)) <= 2 * FRAME_SAMPLES


def test_a_word_that_ends_with_its_segment_is_heard_and_ends_there(engine: VoskEngine) -> None:
    for cut_ms in range(0, 80, 9):
        pcm = silence(300) + say("golf hotel", gap_ms=200)[: -2 * samples_of_ms(200 + cut_ms)]
        words = hear(engine, pcm)
        assert texts(words) == ["golf", "hotel"]
        assert words[-1].end_sample <= len(pcm) // 2


def test_confidence_falls_with_the_noise(engine: VoskEngine) -> None:
    clear, buried = (hear(engine, noisy(say(VOCABULARY), level)) for level in (20, 4000))

    assert all(0 < word.confidence <= 1 for word in (*clear, *buried))
    assert len({word.confidence for word in buried}) > 4
    assert np.mean([word.confidence for word in buried]) < np.mean([word.confidence for word in clear]) - 0.01


def test_partials_grow_window_by_window(engine: VoskEngine) -> None:
    stream = engine.open()
    stream.begin(0)
    seen = []
    pcm = say(VOCABULARY[:8])
    for at in range(0, len(pcm), WINDOW_BYTES):
        stream.accept(pcm[at : at + WINDOW_BYTES])
        engine.step([stream])
        seen.append(stream.partial())

    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(seen))
    assert len(set(seen)) >= 8
    assert texts(stream.finish()) == list(VOCABULARY[:8])


def test_pauses_inside_a_segment_lose_and_double_nothing(engine: VoskEngine) -> None:
    pcm = silence(1500) + say("alfa bravo") + silence(6000) + say("charlie") + silence(900) + say("delta")
    stream = engine.open()
    stream.begin(SAMPLE_RATE_HZ)
    seen = []
    for at in range(0, len(pcm), WINDOW_BYTES):
        stream.accept(pcm[at : at + WINDOW_BYTES])
        engine.step([stream])
        seen.append(stream.partial())
    words = stream.finish()

    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(seen))
    assert texts(words) == ["alfa", "bravo", "charlie", "delta"]
    charlie = SAMPLE_RATE_HZ + samples_of_ms(1500 + 2 * (WORD_MS + GAP_MS) + 6000)
    assert abs(words[2].start_sample - charlie) <= FRAME_SAMPLES


def test_a_minute_without_a_pause_is_heard_whole(engine: VoskEngine) -> None:
    said = [VOCABULARY[(number * 7) % 32] for number in range(200)]
    words = hear(engine, say(said, word_ms=200, gap_ms=100))

    assert texts(words) == said
    assert words[-1].end_sample <= 60 * SAMPLE_RATE_HZ


def test_a_segment_comes_to_the_same_each_time_to_the_last_figure(engine: VoskEngine) -> None:
    pcm = noisy(say(VOCABULARY[:8]), 3000)

    assert len({hear(engine, pcm) for _ in range(5)}) == 1
    assert hear(loaded(engine._folder), pcm) == hear(engine, pcm)


def test_threads_step_streams_of_their_own_at_once(engine: VoskEngine) -> None:
    said = {number: noisy(say(VOCABULARY[number : number + 6]), 2000) for number in range(16)}
    alone = {number: hear(engine, pcm) for number, pcm in said.items()}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda number: hear(engine, said[number]), said)) == list(alone.values())


# --- what may be missing ---------------------------------------------------------------------------------------------


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setitem(sys.modules, "vosk", None)

    with pytest.raises(EngineMissing, match=r"pip install 'scribewire\[vosk\]'"):
        loaded(folder)


def remove(path: Path) -> None:
    path.unlink()


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    path.write_bytes(b"\x07\x99--\n" * 100)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def stop_in_an_option(path: Path) -> None:
    path.write_text(path.read_text() + "--")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("am/final.mdl", remove),
        ("am/final.mdl", halve),
        ("am/final.mdl", garble),
        ("conf/mfcc.conf", remove),
        ("conf/mfcc.conf", garble),
        ("conf/mfcc.conf", empty),
        ("conf/mfcc.conf", stop_in_an_option),
        ("conf/model.conf", remove),
        ("conf/model.conf", halve),
        ("conf/model.conf", empty),
        ("graph/HCLG.fst", remove),
        ("graph/HCLG.fst", halve),
        ("graph/HCLG.fst", empty),
        ("graph/words.txt", remove),
        ("graph/words.txt", garble),
        ("graph/phones/word_boundary.int", garble),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_model_that_is_not_whole_is_refused_in_one_sentence(
    folder: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    damage(copy / name)

    with pytest.raises(EngineMissing, match="scribewire models") as refused:
        loaded(copy)
    assert str(copy) in str(refused.value)


# --- over time -------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_ten_thousand_streams_leave_nothing_behind(engine: VoskEngine) -> None:
    process = psutil.Process(os.getpid())
    pcm = say("golf")

    def cycle(times: int) -> int:
        for number in range(times):
            stream = engine.open()
            stream.begin(0)
            if number % 10 == 0:
                feed(stream, pcm)
                engine.step([stream])
                assert texts(stream.finish()) == ["golf"]
            stream.close()
        gc.collect()
        return process.memory_info().rss

    before = cycle(1000)
    assert cycle(10_000) - before <= 5 * 1024 * 1024


# --- real models -----------------------------------------------------------------------------------------------------


def real_models() -> list[Path]:
    return sorted(path.parents[1] for path in SHARED_MODELS.glob("*/am/final.mdl")) if SHARED_MODELS.is_dir() else []


@pytest.mark.long
@needs_shared_clips
@pytest.mark.skipif(not real_models(), reason="no folder of vosk models beside that of the clips")
@pytest.mark.parametrize("folder", real_models(), ids=lambda path: path.name)
def test_a_real_model_hears_real_speech(folder: Path) -> None:
    engine = loaded(folder)
    clips = speech_clips()[:20]
    heard = [" ".join(texts(hear(engine, clip.pcm()))) for clip in clips]

    assert jiwer.wer([clip.text for clip in clips], heard) <= 0.25
