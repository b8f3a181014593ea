"""One suite over every engine: what the contract in engines/base.py promises, before, during, after, twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES
from scribewire.core.words import Word
from scribewire.engines import table
from scribewire.engines.base import Engine, Outcome, Stream
from scribewire.errors import ScribewireError
from scribewire.tones import say, silence
from tests.speech import clips
from tests.tiny import sherpa, vosk, whisper

FIRST = 16_000


class Stranger(Stream):
    """A stream that no engine opened."""

    def begin(self, first_sample: int) -> None: ...

    def accept(self, pcm: bytes) -> None: ...

    def partial(self) -> tuple[str, ...]:
        return ()

    def finish(self) -> tuple[Word, ...]:
        return ()

    def resume(self) -> bytes:
        return b""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Case:
    """An engine, and two utterances that it understands. `write` makes its model in an empty folder, if one is made."""

    choice: str
    spoken: bytes
    then: bytes
    write: Callable[[Path], Path] | None = None


@cache
def utterance(name: str) -> bytes:
    """Give the first second of a clip: three words, and little to decode."""
    return clips()[name].pcm()[:32_000]


def cases() -> Iterator[Case]:
    for model in ("words", "words,gil=hold"):
        yield Case(f"scripted:{model}", say("alfa bravo charlie delta echo"), say("foxtrot golf"))
    claps = silence(100) + say("alfa bravo charlie delta")
    yield Case("claps:3000", claps, claps)
    yield Case("pocketsphinx:fast", utterance("rms-train"), utterance("awb-road"))
    for write in sherpa.WRITERS.values():
        yield Case("sherpa", say("alfa bravo charlie delta echo"), say("foxtrot golf"), write)
    for name, write in (("vosk", vosk.write), ("whisper", whisper.write)):
        yield Case(name, say("alfa bravo charlie delta echo"), say("foxtrot golf"), write)


def parameters() -> Iterator[object]:
    for case in cases():
        marks = () if case.choice.startswith(("scripted", "claps")) else (pytest.mark.e2e,)
        yield pytest.param(case, id=f"{case.choice}:{case.write.__name__}" if case.write else case.choice, marks=marks)


@pytest.fixture(params=parameters(), scope="module")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    case = request.param
    assert isinstance(case, Case)
    if case.write:
        return replace(case, choice=f"{case.choice}:{case.write(tmp_path_factory.mktemp(case.choice))}", write=None)
    return case


def load(choice: str) -> Engine:
    engine = table.create(choice)
    engine.load()
    return engine


@pytest.fixture(scope="module")
def engine(case: Case) -> Iterator[Engine]:
    engine = load(case.choice)
    yield engine
    engine.close()


@pytest.fixture
def stream(engine: Engine) -> Iterator[Stream]:
    stream = engine.open()
    yield stream
    stream.close()


def windows(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + WINDOW_BYTES] for at in range(0, len(pcm), WINDOW_BYTES)]


def decode(engine: Engine, stream: Stream, pcm: bytes, *, first_sample: int = FIRST, step: int = 3) -> tuple[Word, ...]:
    """Decode a segment, again and again while the engine asks for it, `step` windows at a time."""
    for _ in range(4):
        words = attempt(engine, stream, windows(pcm), first_sample, step)
        if not isinstance(words, Outcome):
            return words
    pytest.fail("the engine never has enough")


def attempt(
    engine: Engine, stream: Stream, parts: list[bytes], first_sample: int, step: int
) -> tuple[Word, ...] | Outcome:
    stream.begin(first_sample)
    for at in range(0, len(parts), step):
        for part in parts[at : at + step]:
            stream.accept(part)
        [outcome] = engine.step([stream])
        if outcome is Outcome.AGAIN:
            return outcome
    return stream.finish()


def test_an_utterance_yields_words_in_order_inside_the_segment(case: Case, engine: Engine, stream: Stream) -> None:
    words = decode(engine, stream, case.spoken)
    assert len(words) >= 3
    times = [time for word in words for time in (word.start_sample, word.end_sample)]
    assert times == sorted(times)
    assert times[0] >= FIRST
    assert times[-1] <= FIRST + len(case.spoken) // SAMPLE_BYTES


def test_confidence_is_a_share_and_words_are_plain(case: Case, engine: Engine, stream: Stream) -> None:
    for word in decode(engine, stream, case.spoken):
        assert 0.0 <= word.confidence <= 1.0
        assert word.text
        assert word.text == word.text.strip()
        assert word.text.islower() or engine.traits.punctuates
        assert not set(word.text) & set("()<>[] ")


def test_a_segment_can_end_before_anything_was_accepted(engine: Engine, stream: Stream) -> None:
    stream.begin(FIRST)
    assert stream.partial() == ()
    assert stream.finish() == ()


def test_partials_grow_and_change_nothing(case: Case, engine: Engine, stream: Stream) -> None:
    decode(engine, stream, case.spoken)
    state = stream.resume()
    quiet = decode(engine, stream, case.spoken)
    stream.close()
    watched = engine.open(state)
    watched.begin(FIRST)
    seen: list[tuple[str, ...]] = []
    for window in windows(case.spoken):
        watched.accept(window)
        engine.step([watched])
        seen += [watched.partial(), watched.partial()]
        assert seen[-1] == seen[-2]
    assert seen[0] == ()
    assert len(seen[-1]) >= 3
    assert watched.finish() == quiet
    watched.close()


@pytest.mark.parametrize("step", [1, 10_000])
def test_the_words_do_not_depend_on_the_split_into_steps(case: Case, engine: Engine, step: int) -> None:
    expected = engine.open()
    words = decode(engine, expected, case.spoken)
    expected.close()
    got = engine.open()
    assert decode(engine, got, case.spoken, step=step) == words
    got.close()


def test_what_was_decoded_before_does_not_reach_the_next_segment(case: Case, engine: Engine, stream: Stream) -> None:
    decode(engine, stream, case.spoken)
    state = stream.resume()
    words = decode(engine, stream, case.then)
    stream.close()
    fresh = engine.open(state)
    assert decode(engine, fresh, case.then) == words
    fresh.close()


def test_begin_abandons_an_open_segment(case: Case, engine: Engine, stream: Stream) -> None:
    decode(engine, stream, case.spoken)
    state = stream.resume()
    expected = decode(engine, stream, case.then)
    stream.close()
    disturbed = engine.open(state)
    disturbed.begin(0)
    for window in windows(case.spoken)[:20]:
        disturbed.accept(window)
    engine.step([disturbed])
    assert decode(engine, disturbed, case.then) == expected
    disturbed.close()


def test_a_stream_goes_on_in_another_engine(case: Case, engine: Engine, stream: Stream) -> None:
    decode(engine, stream, case.spoken)
    state = stream.resume()
    assert len(state) <= 1536
    expected = decode(engine, stream, case.then)
    other = load(case.choice)
    resumed = other.open(state)
    assert decode(other, resumed, case.then) == expected
    assert resumed.resume() == stream.resume()
    resumed.close()
    other.close()


def test_times_follow_the_first_sample(case: Case, engine: Engine, stream: Stream) -> None:
    decode(engine, stream, case.spoken)
    early = decode(engine, stream, case.then, first_sample=0)
    late = decode(engine, stream, case.then, first_sample=160_000)
    assert [word.start_sample + 160_000 for word in early] == [word.start_sample for word in late]


def test_silence_yields_no_words(engine: Engine, stream: Stream) -> None:
    assert decode(engine, stream, bytes(32_000)) == ()


def test_closing_twice_is_closing_once(engine: Engine) -> None:
    stream = engine.open()
    stream.begin(0)
    stream.close()
    stream.close()


def test_a_stream_closed_in_mid_segment_leaves_the_engine_usable(case: Case, engine: Engine) -> None:
    left = engine.open()
    left.begin(0)
    left.accept(windows(case.spoken)[0])
    engine.step([left])
    left.close()
    again = engine.open()
    assert decode(engine, again, case.spoken)
    again.close()


def test_one_step_decodes_as_many_streams_as_the_traits_say(case: Case, engine: Engine) -> None:
    streams = [engine.open() for _ in range(engine.traits.batch)]
    for number, stream in enumerate(streams):
        stream.begin(number * 1600)
        for window in windows(case.then):
            stream.accept(window)
    outcomes = engine.step(streams)
    assert len(outcomes) == len(streams)
    for stream in streams:
        stream.close()


def test_a_stream_of_another_engine_is_not_passed_over(engine: Engine) -> None:
    with pytest.raises(AssertionError):
        engine.step([Stranger()])


def test_a_model_that_is_not_there_is_named(case: Case) -> None:
    with pytest.raises(ScribewireError, match="no-such-model"):
        table.create(f"{table.parse_choice(case.choice).engine}:no-such-model").load()
