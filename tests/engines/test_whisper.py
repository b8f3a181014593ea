"""faster-whisper hears exactly what a tiny model must hear, its finals whatever partials were decoded before."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import faster_whisper
import jiwer
import numpy as np
import pytest

from scoring import speech_clips
from scribewire.core.audio import SAMPLE_RATE_HZ, WINDOW_SAMPLES, samples_of_ms, samples_of_s
from scribewire.core.words import Word
from scribewire.engines.base import Options, Setup, Stream
from scribewire.engines.models.importing import import_model
from scribewire.engines.whisper import (
    LONGEST_SAMPLES,
    QUIET_WINDOWS,
    Listener,
    Samples,
    WhisperEngine,
    WhisperStream,
    find_cut,
    has_sound,
    is_believable,
    place,
)
from scribewire.errors import BadSettings, EngineMissing
from scribewire.tones import GAP_MS, VOCABULARY, WORD_MS, say
from tests.engines.hearing import (
    MOST_LEFT_BYTES,
    feed,
    finished,
    follow,
    hear,
    left_by_ten_thousand,
    models_beside_the_clips,
    texts,
)
from tests.speech import needs_shared_clips
from tests.tiny import whisper as tiny

SLOT_MS = WORD_MS + GAP_MS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[WhisperEngine]:
    engine = loaded(str(folder))
    yield engine
    engine.close()


def loaded(model: str) -> WhisperEngine:
    engine = WhisperEngine(Setup(model))
    engine.load()
    return engine


# --- what is believed ------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """What the library says of a text that is as sure as can be."""

    avg_logprob: float = -0.2
    compression_ratio: float = 1.2
    no_speech_prob: float = 0.01


@pytest.mark.parametrize(
    ("told", "believable"),
    [
        (Told(), True),
        (Told(compression_ratio=2.5), False),
        (Told(avg_logprob=-1.1), False),
        (Told(avg_logprob=-0.7), True),
        (Told(avg_logprob=-0.7, no_speech_prob=0.9), False),
        (Told(avg_logprob=-0.3, no_speech_prob=0.9), True),
    ],
)
def test_text_that_whisper_makes_up_is_not_believed(told: Told, *, believable: bool) -> None:
    assert is_believable(told) is believable


def test_what_is_short_or_silent_holds_no_word() -> None:
    rng = np.random.default_rng(1)
    second: Samples = rng.normal(0, 0.01, SAMPLE_RATE_HZ).astype(np.float32)

    assert has_sound(second)
    assert not has_sound(second[: samples_of_ms(290)])
    assert not has_sound(second / np.float32(100))
    assert not has_sound(second[:0])


def test_a_long_piece_is_cut_where_its_second_half_is_quietest() -> None:
    samples = np.ones(100 * WINDOW_SAMPLES, np.float32)
    samples[20 * WINDOW_SAMPLES : 30 * WINDOW_SAMPLES] = 0
    samples[70 * WINDOW_SAMPLES : 78 * WINDOW_SAMPLES] = 0

    assert 72 * WINDOW_SAMPLES <= find_cut(samples) <= 76 * WINDOW_SAMPLES


def test_words_are_placed_inside_their_piece_and_never_back() -> None:
    @dataclass(frozen=True)
    class Heard:
        word: str
        start: float
        end: float
        probability: float

    heard = [Heard(" Hello,", 0.1, 0.5, 0.9), Heard(" ", 0.5, 0.5, 0.1), Heard(" world.", 0.4, 1.4, 1.2)]

    assert list(place(heard, 16_000, 16_000)) == [
        Word("Hello,", 17_600, 24_000, 0.9),
        Word("world.", 24_000, 32_000, 1.0),
    ]


# --- decoding --------------------------------------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.parametrize("compute", ["int8", "float32"])
def test_every_word_is_heard_where_it_was_said(folder: Path, compute: str) -> None:
    said = VOCABULARY[:12]
    words = hear(loaded(f"{folder},compute={compute}"), say(said))

    assert texts(words) == list(said)
    for number, word in enumerate(words):
        assert abs(word.start_sample - samples_of_ms(number * SLOT_MS)) <= samples_of_ms(40)
        assert word.confidence > 0.9


@pytest.mark.e2e
def test_confidence_is_what_the_model_says(engine: WhisperEngine) -> None:
    noise = np.random.default_rng(1).normal(0, 1200, samples_of_s(3.2))
    said = np.frombuffer(say(VOCABULARY[:8]), "<i2") + noise
    words = hear(engine, said.clip(-32_768, 32_767).astype("<i2").tobytes())

    assert len({word.confidence for word in words}) > 1
    assert all(0 <= word.confidence <= 1 for word in words)


@pytest.mark.e2e
def test_partials_come_by_the_second_and_finals_do_not_depend_on_them(engine: WhisperEngine) -> None:
    said = VOCABULARY[:10]
    # By a clock that stands, decoding takes no time, however busy the machine is.
    stream = WhisperStream(Listener(engine._model, None, ()), lambda: 0.0)
    stream.begin(0)
    seen = follow(engine, stream, say(said))

    shown = list(dict.fromkeys(seen))
    assert len(shown) == 1 + 3
    assert all(partial == said[: len(partial)] for partial in shown)
    assert stream.finish() == hear(engine, say(said))


@pytest.mark.e2e
def test_partials_get_rarer_when_decoding_takes_longer_than_the_audio(engine: WhisperEngine) -> None:
    clock = iter(range(0, 1000, 2))
    stream = WhisperStream(Listener(engine._model, None, ()), lambda: next(clock))
    stream.begin(0)
    seen = follow(engine, stream, say(VOCABULARY[:13]))

    # After 1, 3 and 5 of 5.2 s.
    assert len(set(seen)) == 1 + 3


@pytest.mark.e2e
def test_a_segment_longer_than_a_window_is_heard_in_pieces(engine: WhisperEngine) -> None:
    first, then = VOCABULARY[:8], VOCABULARY[8:13]
    quiet = bytes(2 * (LONGEST_SAMPLES // 2 + QUIET_WINDOWS * WINDOW_SAMPLES))
    # The tiny model wants words from the beginning of a piece on: these begin where the quiet place ends.
    opening = say(first)
    pcm = opening + quiet[len(opening) :] + say(then)
    stream = engine.open()
    stream.begin(SAMPLE_RATE_HZ)
    stream.accept(pcm + bytes(2 * LONGEST_SAMPLES - len(pcm)))
    engine.step([stream])

    assert stream.partial() == (*first, *then)
    words = stream.finish()
    assert texts(words) == [*first, *then]
    place_samples = SAMPLE_RATE_HZ + len(quiet) // 2
    assert abs(words[len(first)].start_sample - place_samples) <= samples_of_ms(100)


@pytest.mark.e2e
def test_expected_words_go_before_the_text(engine: WhisperEngine) -> None:
    pcm = say("alfa bravo charlie delta")

    assert texts(hear(engine, pcm)) == ["alfa", "bravo", "charlie", "delta"]
    # The decoder's n-th position hears the n-th word, and a prompt of two tokens takes two positions.
    assert texts(hear(engine, pcm, Options(vocabulary=("golf",)))) == ["charlie", "delta"]


@pytest.mark.e2e
def test_threads_decode_streams_of_their_own_at_once(engine: WhisperEngine) -> None:
    said = [say(VOCABULARY[number : number + 3]) for number in range(8)]

    with ThreadPoolExecutor(4) as pool:
        heard = list(pool.map(lambda pcm: texts(hear(engine, pcm)), said))

    assert heard == [list(VOCABULARY[number : number + 3]) for number in range(8)]


# --- the model -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def multilingual(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says it knows three languages."""
    copy = tmp_path_factory.mktemp("multilingual") / "model"
    shutil.copytree(folder, copy)
    filling = [f"token{number}" for number in range(51_865)]
    (copy / "vocabulary.json").write_text(json.dumps([*filling, "<|en|>", "<|de|>", "<|yue|>", "<|transcribe|>"]))
    return copy


@pytest.mark.e2e
def test_a_multilingual_model_knows_its_languages_and_finds_out_which_is_spoken(multilingual: Path) -> None:
    traits = WhisperEngine(Setup(str(multilingual))).traits

    assert traits.languages == ("en", "de", "yue")
    assert traits.detects_language


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("told", "languages", "detects"),
    [
        ((), ("en", "de", "yue"), True),
        (("yue", "en-gb"), ("en", "yue"), True),
        (("de",), ("de",), False),
        (("fr",), ("en", "de", "yue"), True),
    ],
)
def test_of_its_languages_a_model_has_those_that_its_manifest_names(
    multilingual: Path, tmp_path: Path, told: tuple[str, ...], languages: tuple[str, ...], detects: bool
) -> None:
    import_model(multilingual, tmp_path, name="mine", languages=told)
    traits = WhisperEngine(Setup("mine", tmp_path)).traits

    assert (traits.languages, traits.detects_language) == (languages, detects)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("told", "asked", "language"),
    [((), "", None), ((), "de-AT", "de"), ((), "fr", None), (("de",), "", "de"), (("de",), "en", "de")],
)
def test_a_language_is_found_out_only_where_there_are_several(
    monkeypatch: pytest.MonkeyPatch,
    multilingual: Path,
    tmp_path: Path,
    told: tuple[str, ...],
    asked: str,
    language: str | None,
) -> None:
    wanted: list[object] = []

    class RecordingLibrary:
        """As much of faster-whisper as decodes a segment, to nothing; the tiny model cannot tell languages apart."""

        def __init__(self, *_: object, **__: object) -> None: ...

        def transcribe(self, _: Samples, *, language: str | None, **__: object) -> tuple[Iterator[object], None]:
            wanted.append(language)
            return iter(()), None

    monkeypatch.setattr(faster_whisper, "WhisperModel", RecordingLibrary)
    import_model(multilingual, tmp_path, name="mine", languages=told)
    engine = WhisperEngine(Setup("mine", tmp_path))
    engine.load()
    hear(engine, say("alfa"), Options(language=asked))

    assert wanted == [language]


@pytest.mark.e2e
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot keep a thread to some cores")
def test_as_many_decode_at_once_as_there_are_cores(folder: Path) -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        engine = loaded(str(folder))
    finally:
        os.sched_setaffinity(0, cores)

    assert engine._model.model.num_workers == 1
    engine.close()


def test_an_english_model_knows_english_alone(engine: WhisperEngine) -> None:
    assert engine.traits.languages == ("en",)
    assert not engine.traits.detects_language


@pytest.mark.parametrize("options", ["compute=int4", "threads=2", "compute"])
def test_a_wrong_option_is_refused(folder: Path, options: str) -> None:
    with pytest.raises(BadSettings, match=r"compute=int8\|float16\|float32"):
        WhisperEngine(Setup(f"{folder},{options}"))


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json", "vocabulary.json"])
def test_a_model_that_is_not_whole_is_refused_rather_than_sought_on_a_hub(
    folder: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / name).unlink()

    with pytest.raises(EngineMissing, match="scribewire models list"):
        WhisperEngine(Setup(str(copy)))


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
def test_a_model_that_the_library_cannot_read_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / name).write_bytes((copy / name).read_bytes()[:1000])

    with pytest.raises(EngineMissing, match="cannot load the model"):
        loaded(str(copy))


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)

    with pytest.raises(EngineMissing, match=r"pip install 'scribewire\[whisper\]'"):
        loaded(str(folder))


# --- over time -------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.e2e
def test_ten_thousand_streams_leave_nothing_behind(engine: WhisperEngine) -> None:
    def decode(stream: Stream) -> None:
        feed(stream, say("golf"))
        assert finished(stream) == ["golf"]

    assert left_by_ten_thousand(engine.open, decode, every=100) <= MOST_LEFT_BYTES


# --- real models -----------------------------------------------------------------------------------------------------

REAL_MODELS = models_beside_the_clips("*/model.bin")


@pytest.mark.long
@pytest.mark.e2e
@needs_shared_clips
@pytest.mark.skipif(not REAL_MODELS, reason="no folder of Whisper models beside that of the clips")
@pytest.mark.parametrize("model", REAL_MODELS, ids=lambda path: path.name)
def test_a_real_model_hears_real_speech(model: Path) -> None:
    engine = loaded(str(model))
    clips = speech_clips()[:10]
    heard = [" ".join(texts(hear(engine, clip.pcm(), Options(language="en")))) for clip in clips]
    plain = ["".join(char for char in text.lower() if char.isalnum() or char in " '") for text in heard]

    assert jiwer.wer([clip.text for clip in clips], plain) <= 0.25
