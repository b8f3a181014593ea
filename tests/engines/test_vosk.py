"""vosk hears exactly what a tiny model must hear, and its segments depend on nothing but their audio."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import pytest

from scoring import speech_clips
from scribewire.core.audio import SAMPLE_RATE_HZ, samples_of_ms
from scribewire.engines.base import Setup, Stream
from scribewire.engines.vosk import VoskEngine
from scribewire.errors import EngineMissing
from scribewire.tones import GAP_MS, VOCABULARY, WORD_MS, say, silence
from tests.engines.hearing import (
    MOST_LEFT_BYTES,
    feed,
    finished,
    follow,
    hear,
    left_by_ten_thousand,
    models_beside_the_clips,
    noisy,
    texts,
)
from tests.speech import needs_shared_clips
from tests.tiny import vosk

pytestmark = pytest.mark.e2e

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
    seen = follow(engine, stream, say(VOCABULARY[:8]))

    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(seen))
    assert len(set(seen)) >= 8
    assert texts(stream.finish()) == list(VOCABULARY[:8])


def test_pauses_inside_a_segment_lose_and_double_nothing(engine: VoskEngine) -> None:
    pcm = silence(1500) + say("alfa bravo") + silence(6000) + say("charlie") + silence(900) + say("delta")
    stream = engine.open()
    stream.begin(SAMPLE_RATE_HZ)
    seen = follow(engine, stream, pcm)
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
    def decode(stream: Stream) -> None:
        feed(stream, say("golf"))
        engine.step([stream])
        assert finished(stream) == ["golf"]

    assert left_by_ten_thousand(engine.open, decode, every=10) <= MOST_LEFT_BYTES


# --- real models -----------------------------------------------------------------------------------------------------

REAL_MODELS = models_beside_the_clips("*/am/final.mdl", levels=2)


@pytest.mark.long
@needs_shared_clips
@pytest.mark.skipif(not REAL_MODELS, reason="no folder of vosk models beside that of the clips")
@pytest.mark.parametrize("folder", REAL_MODELS, ids=lambda path: path.name)
def test_a_real_model_hears_real_speech(folder: Path) -> None:
    engine = loaded(folder)
    clips = speech_clips()[:20]
    heard = [" ".join(texts(hear(engine, clip.pcm()))) for clip in clips]

    assert jiwer.wer([clip.text for clip in clips], heard) <= 0.25
