"""sherpa-onnx hears exactly what tiny models of each kind must hear, batched or alone, however the audio comes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import jiwer
import numpy as np
import pytest

from scoring import speech_clips
from scribewire.core.audio import SAMPLE_RATE_HZ, WINDOW_BYTES, samples_of_ms
from scribewire.engines.base import PLAIN, Options, Setup, Stream
from scribewire.engines.sherpa import BATCH, SherpaEngine, SherpaStream
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
from tests.tiny import sherpa

pytestmark = pytest.mark.e2e

LEAD_MS = 100
FRAME_SAMPLES = samples_of_ms(40)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in sherpa.WRITERS.items()}


def loaded(folder: Path) -> SherpaEngine:
    engine = SherpaEngine(Setup(str(folder)))
    engine.load()
    return engine


@pytest.fixture(scope="module", params=sherpa.WRITERS)
def engine(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Iterator[SherpaEngine]:
    engine = loaded(folders[request.param])
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def transducer(folders: dict[str, Path]) -> Iterator[SherpaEngine]:
    engine = loaded(folders["transducer"])
    yield engine
    engine.close()


def test_every_word_is_heard_where_it_was_said(engine: SherpaEngine) -> None:
    words = hear(engine, noisy(silence(LEAD_MS) + say(VOCABULARY), 20))

    assert texts(words) == list(VOCABULARY)
    # Paraformers have no times but their chunks'.
    tolerance = 2 * FRAME_SAMPLES if engine.traits.word_times else samples_of_ms(600)
    for number, word in enumerate(words):
        start = samples_of_ms(LEAD_MS + number * (WORD_MS + GAP_MS))
        assert abs(word.start_sample - start) <= tolerance
        assert word.start_sample < word.end_sample <= start + samples_of_ms(WORD_MS) + tolerance


def test_a_word_that_ends_with_its_segment_is_heard_and_ends_there(engine: SherpaEngine) -> None:
    for cut_ms in range(0, 80, 9):
        pcm = silence(300) + say("golf hotel", gap_ms=200)[: -2 * samples_of_ms(200 + cut_ms)]
        words = hear(engine, pcm)
        assert texts(words) == ["golf", "hotel"]
        assert words[-1].end_sample <= len(pcm) // 2


def test_confidence_falls_with_the_noise(engine: SherpaEngine) -> None:
    clear, buried = (
        hear(engine, noisy(silence(300) + say("kilo mike oscar zulu") + silence(500), level)) for level in (20, 100)
    )

    assert texts(clear) == ["kilo", "mike", "oscar", "zulu"]
    assert len({word.confidence for word in (*clear, *buried)}) > 4
    assert all(0 < word.confidence <= 1 for word in (*clear, *buried))
    assert np.mean([word.confidence for word in buried]) < np.mean([word.confidence for word in clear]) - 0.005


def test_partials_grow_by_the_chunk(engine: SherpaEngine) -> None:
    stream = engine.open()
    stream.begin(0)
    seen = follow(engine, stream, say(VOCABULARY[:8]))

    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(seen))
    assert len(set(seen)) >= 5
    assert texts(stream.finish()) == list(VOCABULARY[:8])


def test_a_batched_step_hears_what_streams_alone_would(engine: SherpaEngine) -> None:
    said = [noisy(silence(30 * number) + say(VOCABULARY[number : number + 4]), 20) for number in range(BATCH - 4)]
    streams = [engine.open() for _ in said]
    for stream in streams:
        stream.begin(0)
    # Now these, now those, and of different lengths: no two steps have the same batch.
    for at in range(0, max(map(len, said)), WINDOW_BYTES * 7):
        for stream, pcm in zip(streams, said, strict=True):
            feed(stream, pcm[at : at + WINDOW_BYTES * 7])
        engine.step(streams[(at // WINDOW_BYTES) % 5 :])
    engine.step(streams)
    together = [stream.finish() for stream in streams]

    assert [texts(words) for words in together] == [list(VOCABULARY[number : number + 4]) for number in range(28)]
    for words, pcm in zip(together, said, strict=True):
        alone = hear(engine, pcm)
        assert [(word.text, word.start_sample) for word in words] == [(word.text, word.start_sample) for word in alone]
        assert [word.confidence for word in words] == pytest.approx([word.confidence for word in alone], abs=1e-3)


def test_threads_step_streams_of_their_own_at_once(engine: SherpaEngine) -> None:
    said = {number: say(VOCABULARY[number : number + 6]) for number in range(16)}

    def talk(number: int) -> list[str]:
        return texts(hear(engine, said[number]))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(talk, said)) == [list(VOCABULARY[number : number + 6]) for number in said]


def test_a_minute_without_a_pause_is_heard_whole(engine: SherpaEngine) -> None:
    said = [VOCABULARY[(number * 7) % 32] for number in range(200)]
    words = hear(engine, say(said, word_ms=200, gap_ms=100))

    assert texts(words) == said
    assert words[-1].end_sample <= 60 * SAMPLE_RATE_HZ


def test_long_silence_inside_a_segment_loses_and_doubles_nothing(engine: SherpaEngine) -> None:
    pcm = say("alfa bravo") + silence(6000) + say("charlie") + silence(3000) + say("delta")

    assert texts(hear(engine, pcm)) == ["alfa", "bravo", "charlie", "delta"]


def test_the_traits_say_what_the_kind_of_model_can(folders: dict[str, Path]) -> None:
    traits = {name: SherpaEngine(Setup(str(folder))).traits for name, folder in folders.items()}

    assert all(trait.releases_gil and trait.batch == BATCH for trait in traits.values())
    assert [name for name, trait in traits.items() if trait.vocabulary] == ["transducer"]
    assert [name for name, trait in traits.items() if trait.confidence] == ["transducer"]
    assert [name for name, trait in traits.items() if not trait.word_times] == ["paraformer"]


# --- vocabulary ------------------------------------------------------------------------------------------------------


def test_an_expected_word_is_heard_where_the_model_is_in_doubt(transducer: SherpaEngine) -> None:
    golf, kilo = (np.frombuffer(say(word), "<i2") for word in ("golf", "kilo"))
    both_at_once = silence(300) + (0.43 * golf + 0.57 * kilo).astype("<i2").tobytes() + silence(300)
    heard = {
        expected: texts(hear(transducer, both_at_once, Options(vocabulary=(expected, "Zulu"))))
        for expected in ("Golf", "Kilo")
    }

    assert heard["Golf"] == ["golf"]
    assert heard["Kilo"][0] == "kilo"


def test_phrases_that_no_token_spells_break_nothing(
    transducer: SherpaEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    strange = ("zürich", "5 o'clock", "/", ":", ":nonsense", "#1", "@home", "a\nb", "", "x" * 500, "你好", "golf :2 x")

    assert texts(hear(transducer, say("alfa golf"), Options(vocabulary=strange))) == ["alfa", "golf"]
    # The library logs what it cannot encode, and what a session expects is nobody else's business.
    assert capfd.readouterr().err == ""


def test_sessions_with_and_without_a_vocabulary_share_a_step(transducer: SherpaEngine) -> None:
    streams = [transducer.open(options=Options(vocabulary=("golf",) * (number % 2))) for number in range(6)]
    for stream in streams:
        stream.begin(0)
        feed(stream, say("echo golf hotel"))
    transducer.step(streams)

    assert [texts(stream.finish()) for stream in streams] == [["echo", "golf", "hotel"]] * 6


def test_sessions_that_open_at_once_share_what_is_loaded_for_a_vocabulary(folders: dict[str, Path]) -> None:
    engine, together = loaded(folders["transducer"]), Barrier(8)

    def open_one(number: int) -> SherpaStream:
        together.wait()
        return engine.open(options=Options(vocabulary=("golf",) * (number % 4)))

    with ThreadPoolExecutor(8) as pool:
        streams = list(pool.map(open_one, range(8)))

    plain, biased = streams[::4], [stream for number, stream in enumerate(streams) if number % 4]
    assert {id(stream.recogniser) for stream in plain} == {id(engine.open().recogniser)}
    assert len({id(stream.recogniser) for stream in biased}) == 1
    assert biased[0].recogniser is not plain[0].recogniser
    for stream in streams:
        stream.begin(0)
        feed(stream, say("echo golf"))
    engine.step(streams)
    assert [texts(stream.finish()) for stream in streams] == [["echo", "golf"]] * 8
    engine.close()


# --- what may be missing ---------------------------------------------------------------------------------------------


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path]
) -> None:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)

    with pytest.raises(EngineMissing, match=r"pip install 'scribewire\[sherpa\]'"):
        SherpaEngine(Setup(str(folders["ctc"]))).load()


def test_a_model_that_the_library_cannot_read_is_refused(tmp_path: Path) -> None:
    folder = sherpa.write_ctc(tmp_path)
    model = folder / "model.onnx"
    # Whole as a message, but no graph: the operators are called what no runtime knows.
    model.write_bytes(model.read_bytes().replace(b"Softmax", b"Sofamax"))

    with pytest.raises(EngineMissing, match="cannot load the model"):
        SherpaEngine(Setup(str(folder))).load()


# --- over time -------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("options", [PLAIN, Options(vocabulary=("golf", "hotel mike"))])
def test_ten_thousand_streams_leave_nothing_behind(transducer: SherpaEngine, options: Options) -> None:
    def decode(stream: Stream) -> None:
        feed(stream, say("golf"))
        transducer.step([stream])
        assert finished(stream) == ["golf"]

    assert left_by_ten_thousand(lambda: transducer.open(options=options), decode, every=10) <= MOST_LEFT_BYTES


# --- real models -----------------------------------------------------------------------------------------------------

REAL_MODELS = models_beside_the_clips("*/tokens.txt")


@pytest.mark.long
@needs_shared_clips
@pytest.mark.skipif(not REAL_MODELS, reason="no folder of models beside that of the clips")
@pytest.mark.parametrize("folder", REAL_MODELS, ids=lambda path: path.name)
def test_a_real_model_hears_real_speech(folder: Path) -> None:
    engine = loaded(folder)
    clips = speech_clips()[:20]
    heard = [" ".join(texts(hear(engine, clip.pcm()))) for clip in clips]

    assert jiwer.wer([clip.text for clip in clips], heard) <= 0.25
