"""PocketSphinx decodes a segment alike whatever came before, and adapts to a voice once a session."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Iterator
from functools import cache

import pytest

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES
from scribewire.core.words import Word
from scribewire.engines.base import Outcome, Setup, Stream
from scribewire.engines.pocketsphinx import MARKS_BYTES, PocketSphinxEngine, PocketSphinxStream
from scribewire.errors import EngineFailed, EngineMissing
from tests.engines.hearing import MOST_LEFT_BYTES, left_by_ten_thousand
from tests.speech import clips

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def engine() -> Iterator[PocketSphinxEngine]:
    engine = PocketSphinxEngine(Setup("fast"))
    engine.load()
    yield engine
    engine.close()


@pytest.fixture
def stream(engine: PocketSphinxEngine) -> Iterator[PocketSphinxStream]:
    stream = engine.open()
    yield stream
    stream.close()


@cache
def speech(name: str, *, quieter: int = 1) -> bytes:
    """Give the beginning of a clip, beyond its second mark and little to decode."""
    samples = array("h", clips()[name].pcm()[: MARKS_BYTES[1] + 4 * WINDOW_BYTES])
    return array("h", (sample // quieter for sample in samples)).tobytes()


def decode(engine: PocketSphinxEngine, stream: PocketSphinxStream, pcm: bytes) -> tuple[tuple[Word, ...], int]:
    """Decode a segment window by window; give its words, and how often it was asked for again."""
    again = 0
    while True:
        words = attempt(engine, stream, pcm)
        if not isinstance(words, Outcome):
            return words, again
        again += 1


def attempt(engine: PocketSphinxEngine, stream: PocketSphinxStream, pcm: bytes) -> tuple[Word, ...] | Outcome:
    stream.begin(0)
    for at in range(0, len(pcm), WINDOW_BYTES):
        stream.accept(pcm[at : at + WINDOW_BYTES])
        [outcome] = engine.step([stream])
        if outcome is Outcome.AGAIN:
            return outcome
    return stream.finish()


def test_words_come_without_marks_and_with_confidences_of_their_own(
    engine: PocketSphinxEngine, stream: PocketSphinxStream
) -> None:
    words, _ = decode(engine, stream, clips()["rms-train"].pcm())
    said = clips()["rms-train"].text.split()

    assert len(set(said) & {word.text for word in words}) >= 0.8 * len(set(said))
    assert len({word.confidence for word in words}) > 2


def test_a_voice_far_from_the_prior_is_decoded_again_once(
    engine: PocketSphinxEngine, stream: PocketSphinxStream
) -> None:
    quiet = speech("rms-train", quieter=16)

    assert [decode(engine, stream, quiet)[1] for _ in range(3)] == [1, 0, 0]


def test_the_mean_is_heard_at_marks_however_audio_is_stepped(
    engine: PocketSphinxEngine, stream: PocketSphinxStream
) -> None:
    quiet = speech("rms-train", quieter=16)
    words, _ = decode(engine, stream, quiet)
    at_once = engine.open()
    for expected in (Outcome.AGAIN, Outcome.ON):
        at_once.begin(0)
        for at in range(0, len(quiet), WINDOW_BYTES):
            at_once.accept(quiet[at : at + WINDOW_BYTES])
        assert engine.step([at_once]) == [expected]

    assert at_once.finish() == words
    assert at_once.resume() == stream.resume() != b""
    at_once.close()


def test_a_session_goes_on_with_what_it_heard_wherever_it_goes_on(
    engine: PocketSphinxEngine, stream: PocketSphinxStream
) -> None:
    decode(engine, stream, speech("rms-train", quieter=16))
    resumed = engine.open(stream.resume())

    assert decode(engine, resumed, speech("awb-road")) == decode(engine, stream, speech("awb-road"))
    assert resumed.resume() == stream.resume()


def test_after_two_seconds_a_session_keeps_its_mean(engine: PocketSphinxEngine, stream: PocketSphinxStream) -> None:
    states = []
    for _ in range(3):
        decode(engine, stream, speech("rms-train", quieter=16))
        states.append(stream.resume())

    assert states[0] != states[1] == states[2]


def test_a_segment_that_was_abandoned_leaves_no_trace(engine: PocketSphinxEngine, stream: PocketSphinxStream) -> None:
    quiet = speech("rms-train", quieter=16)
    decode(engine, stream, quiet)
    heard = stream.resume()
    stream.begin(0)
    stream.accept(quiet)
    engine.step([stream])

    assert stream.resume() == heard
    assert decode(engine, stream, quiet) == decode(engine, engine.open(heard), quiet)


def test_a_state_of_another_version_counts_as_none(engine: PocketSphinxEngine, stream: PocketSphinxStream) -> None:
    quiet = speech("rms-train", quieter=16)

    assert decode(engine, engine.open(bytes(104)), quiet) == decode(engine, stream, quiet)


def test_neither_words_nor_noise_of_one_stream_reach_the_next(engine: PocketSphinxEngine) -> None:
    heard = []
    for before in ("white-noise", "mains-hum", "awb-road"):
        other, stream = engine.open(), engine.open()
        decode(engine, other, speech(before))
        heard.append((decode(engine, stream, speech("rms-train")), stream.resume()))

    assert heard[0][0][0]
    assert heard[1:] == heard[:-1]


def test_words_end_within_the_segment(engine: PocketSphinxEngine, stream: PocketSphinxStream) -> None:
    pcm = speech("rms-train")[:-WINDOW_BYTES] + bytes(2 * 37)
    words, _ = decode(engine, stream, pcm)

    assert words[0].start_sample >= 0
    assert words[-1].end_sample <= len(pcm) // SAMPLE_BYTES


def test_one_stream_at_a_time_has_an_open_segment(engine: PocketSphinxEngine, stream: PocketSphinxStream) -> None:
    other = engine.open()
    stream.begin(0)

    with pytest.raises(EngineFailed, match="one stream at a time"):
        other.begin(0)
    assert stream.finish() == ()
    other.begin(0)
    other.close()


def test_a_profile_that_is_not_there_is_answered_with_those_there_are() -> None:
    with pytest.raises(EngineMissing, match="no profile 'slow': use fast or quality"):
        PocketSphinxEngine(Setup("slow"))


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)

    with pytest.raises(EngineMissing, match=r"pip install 'scribewire\[server\]'"):
        PocketSphinxEngine(Setup("fast")).load()


def test_loading_brings_nothing_that_must_not_be_forked() -> None:
    script = (
        "import sys, threading; from scribewire.engines.base import Setup;"
        "from scribewire.engines.pocketsphinx import PocketSphinxEngine;"
        "PocketSphinxEngine(Setup('fast')).load();"
        "print({'numpy', 'onnxruntime', 'asyncio', 'pydantic'} & set(sys.modules), threading.active_count())"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert (asked.stdout.strip(), asked.stderr) == ("set() 1", "")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_streams_leave_nothing_behind(engine: PocketSphinxEngine) -> None:
    def hear(stream: Stream) -> None:
        assert isinstance(stream, PocketSphinxStream)
        assert decode(engine, stream, speech("rms-train"))[0]

    # Every one decodes what its segment begins with.
    assert left_by_ten_thousand(engine.open, hear, every=100) <= MOST_LEFT_BYTES
