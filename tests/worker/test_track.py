"""One stream's way from audio to frames, against the real gate and the scripted engine, without processes or clocks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import ClassVar

import pytest

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_SAMPLES
from scribewire.core.words import Word
from scribewire.engines.base import PLAIN, Engine, Options, Outcome, Setup, Stream
from scribewire.engines.gate import create_gate
from scribewire.engines.scripted import ScriptedEngine, ScriptedStream, parse_script
from scribewire.errors import EngineFailed, LinkBroken
from scribewire.frames import (
    Consumed,
    FinalResult,
    Finish,
    Finished,
    Flush,
    Flushed,
    Frame,
    Open,
    PartialResult,
    Settled,
)
from scribewire.settings import GateSettings
from scribewire.tones import say, silence
from scribewire.worker.quanta import Decoded, Quantum, decode_all
from scribewire.worker.track import (
    MAX_UNCONSUMED_SAMPLES,
    MAX_WAITING_FLUSHES,
    OPENING_WINDOWS,
    Track,
    straighten,
)

GATE = create_gate(GateSettings(detector="energy"))
SPEECH = silence(300) + say("alfa bravo charlie") + silence(1500) + say("delta echo") + silence(900)


def opened(*, first_sample: int = 0, partial: bool = True, numbers: bool = False, resume: bytes = b"") -> Open:
    return Open(7, "s", "en", "fast", first_sample, partial, numbers, resume)


class Rig:
    """A track, a gate and an engine, run until nothing is left to do after everything that is put in."""

    def __init__(self, request: Open | None = None, *, engine: Engine | None = None, stable_only: bool = False) -> None:
        self.track = Track(request or opened(), GATE, stable_only=stable_only)
        self.engine = engine or ScriptedEngine(Setup("words"))
        self.stream = self.engine.open(self.track.engine_state)
        self.frames: list[Frame] = []
        self.now = 0.0
        self.quanta: list[Quantum] = []
        self.new_windows: list[int] = []

    def feed(self, pcm: bytes, *, size: int = 3200) -> Rig:
        for at in range(0, len(pcm), size):
            part = pcm[at : at + size]
            self.now += len(part) / 32_000
            self.track.receive(part, self.now)
            self.run()
        return self

    def say(self, frame: Flush | Finish) -> Rig:
        self.track.flush(frame)
        self.run()
        return self

    def run(self) -> None:
        while self.track.gate_stream.pending:
            GATE.step([self.track.gate_stream])
            self.track.judged()
        self.frames += self.track.drain()
        while self.track.waiting_since is not None:
            quantum = self.track.take_quantum(3)
            self.quanta.append(quantum)
            self.new_windows.append(self.track.new_windows)
            [decoded] = decode_all(self.engine, [(self.stream, quantum)], lambda: 0.0)
            self.frames += self.track.apply(decoded, self.now)
            self.frames += self.track.drain()

    def finals(self) -> list[FinalResult]:
        return [frame for frame in self.frames if isinstance(frame, FinalResult)]

    def texts(self) -> list[list[str]]:
        return [[word[0] for word in final.words] for final in self.finals()]


def of_kind(frames: Iterable[Frame], kind: type[Frame]) -> Iterator[Frame]:
    return (frame for frame in frames if isinstance(frame, kind))


def test_every_segment_with_words_is_one_final_and_finished_is_last() -> None:
    rig = Rig().feed(SPEECH).say(Finish(7))
    assert rig.texts() == [["alfa", "bravo", "charlie"], ["delta", "echo"]]
    assert rig.frames[-1] == Finished(7)
    assert rig.track.finished
    first = rig.finals()[0].words[0]
    assert first[1:3] == (4800, 8000)


@pytest.mark.parametrize("size", [2, 34, 1024, 32_000, 1_000_000])
def test_finals_do_not_depend_on_how_the_audio_was_framed(size: int) -> None:
    pcm = SPEECH[: 2 * 32_000]
    assert Rig().feed(pcm, size=size).say(Finish(7)).finals() == Rig().feed(pcm).say(Finish(7)).finals()


def test_partials_grow_and_the_last_words_become_stable() -> None:
    rig = Rig().feed(silence(300) + say("alfa bravo charlie delta"))
    partials = [frame for frame in rig.frames if isinstance(frame, PartialResult)]
    assert partials[0].stability == 0.0
    assert partials[-1].text == "alfa bravo charlie delta"
    assert partials[-1].stability > 0.7
    assert all(0 <= partial.stability <= 1 for partial in partials)
    samples = [partial.sample for partial in partials]
    assert samples == sorted(samples)
    assert min(b - a for a, b in itertools.pairwise(samples)) >= 3 * WINDOW_SAMPLES


def test_stable_partials_hold_words_that_stay() -> None:
    rig = Rig(stable_only=True).feed(SPEECH).say(Finish(7))
    assert rig.finals() == Rig().feed(SPEECH).say(Finish(7)).finals()
    partials = [frame for frame in rig.frames if isinstance(frame, PartialResult)]
    assert [(partial.text, partial.stability) for partial in partials] == [
        ("alfa", 1.0),
        ("alfa bravo", 1.0),
        ("alfa bravo charlie", 1.0),
        ("delta", 1.0),
        ("delta echo", 1.0),
    ]


def test_what_a_segment_opens_with_is_decoded_at_once() -> None:
    rig = Rig().feed(silence(1500) + say("alfa bravo"))
    opening, *later = (len(quantum.windows) for quantum in rig.quanta)
    preroll = GateSettings().preroll_ms * 16 // WINDOW_SAMPLES
    assert preroll < opening <= OPENING_WINDOWS
    assert max(later) == 3


class Counts(ScriptedEngine):
    """Hears the tones as the words of a number."""

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> ScriptedStream:
        return _CountsStream(parse_script("words"))


class _CountsStream(ScriptedStream):
    SAID: ClassVar = {"alfa": "about", "bravo": "twenty", "charlie": "five", "delta": "one", "echo": "thing"}

    def partial(self) -> tuple[str, ...]:
        return tuple(self.SAID[text] for text in super().partial())

    def finish(self) -> tuple[Word, ...]:
        words = super().finish()
        assert isinstance(words, tuple)
        return tuple(word._replace(text=self.SAID[word.text]) for word in words)


def test_numbers_are_digits_where_they_are_asked_for() -> None:
    spoken, written = (Rig(opened(numbers=on), engine=Counts(Setup("words"))).feed(SPEECH) for on in (False, True))
    assert spoken.texts() == [["about", "twenty", "five"], ["one", "thing"]]
    assert written.texts() == [["about", "25"], ["one", "thing"]]
    assert [final.sample for final in written.finals()] == [final.sample for final in spoken.finals()]
    about, twenty, five = spoken.finals()[0].words
    assert written.finals()[0].words == (about, ("25", twenty[1], five[2], min(twenty[3], five[3])))
    partials = [frame.text for frame in written.frames if isinstance(frame, PartialResult)]
    assert [text for text, _ in itertools.groupby(partials)] == ["about", "about 20", "about 25", "one", "one thing"]


def test_finals_in_digits_do_not_depend_on_how_the_audio_was_framed() -> None:
    rigs = [Rig(opened(numbers=True), engine=Counts(Setup("words"))).feed(SPEECH, size=size) for size in (34, 32_000)]
    assert rigs[0].finals() == rigs[1].finals()


def test_a_stream_that_wants_no_partials_gets_none() -> None:
    rig = Rig(opened(partial=False)).feed(SPEECH).say(Finish(7))
    assert not list(of_kind(rig.frames, PartialResult))
    assert len(rig.finals()) == 2


def test_silence_settles_is_consumed_and_yields_nothing() -> None:
    rig = Rig().feed(silence(5000))
    assert {type(frame) for frame in rig.frames} == {Settled, Consumed}
    settled = [frame.sample for frame in rig.frames if isinstance(frame, Settled)]
    assert settled == sorted(settled)
    assert settled[-1] > 3 * 16_000
    assert not rig.quanta


def test_a_segment_without_words_settles_and_makes_no_final() -> None:
    rig = Rig(engine=ScriptedEngine(Setup("null"))).feed(silence(300) + say("alfa") + silence(800))
    assert rig.quanta
    assert not rig.finals()
    [first, *_] = of_kind(rig.frames, Settled)
    assert isinstance(first, Settled)
    assert first.sample >= (300 + 200 + 500) * 16


def test_what_is_consumed_is_said_at_least_every_200_ms() -> None:
    rig = Rig().feed(SPEECH, size=640)
    consumed = [0, *(frame.sample for frame in rig.frames if isinstance(frame, Consumed))]
    assert max(b - a for a, b in itertools.pairwise(consumed)) <= 3200
    assert consumed == sorted(set(consumed))


def test_less_than_a_window_counts_as_consumed_when_it_is_all_that_is_left() -> None:
    rig = Rig().feed(silence(500), size=16_000)
    rig.frames += rig.track.drain(fully=True)
    assert rig.frames[-1] == Consumed(7, 8000)


def test_audio_that_is_being_decoded_is_not_consumed() -> None:
    rig = Rig()
    rig.track.receive(say("alfa"), 0.0)
    while rig.track.gate_stream.pending:
        GATE.step([rig.track.gate_stream])
        rig.track.judged()
    rig.track.take_quantum(100)
    assert rig.track.drain(fully=True) == []


# --- flushes ----------------------------------------------------------------------------------------------------------


def test_a_flush_is_answered_after_the_final_it_caused() -> None:
    rig = Rig().feed(silence(300) + say("alfa bravo")).say(Flush(7, 1))
    assert rig.texts() == [["alfa", "bravo"]]
    assert rig.frames.index(Flushed(7, 1)) > rig.frames.index(rig.finals()[0])
    assert rig.finals()[0].sample == (300 + 800) * 16


def test_a_flush_in_silence_settles_at_its_sample() -> None:
    rig = Rig().feed(silence(777)).say(Flush(7, 4))
    settled = [frame.sample for frame in rig.frames if isinstance(frame, Settled)]
    assert settled[-1] == 777 * 16
    assert Flushed(7, 4) in rig.frames


def test_a_flush_that_waits_for_the_gate_keeps_its_place() -> None:
    rig = Rig()
    rig.track.receive(say("alfa"), 0.0)
    rig.track.flush(Flush(7, 1))
    rig.track.receive(say("bravo"), 0.0)
    rig.track.flush(Finish(7))
    rig.run()
    assert rig.texts() == [["alfa"], ["bravo"]]
    assert rig.finals()[0].sample == 400 * 16
    kinds = [type(frame) for frame in rig.frames if isinstance(frame, FinalResult | Flushed | Finished)]
    assert kinds == [FinalResult, Flushed, FinalResult, Finished]


def test_a_stream_may_finish_with_no_audio_at_all() -> None:
    assert Rig().say(Finish(7)).frames == [Finished(7)]


# --- resuming ---------------------------------------------------------------------------------------------------------


def test_a_stream_goes_on_exactly_where_any_settlement_left_it() -> None:
    rig = Rig().feed(SPEECH).say(Finish(7))
    for frame in rig.frames:
        if isinstance(frame, Settled | FinalResult):
            resumed = Rig(opened(first_sample=frame.sample, resume=frame.resume))
            resumed.feed(SPEECH[frame.sample * SAMPLE_BYTES :]).say(Finish(7))
            assert resumed.finals() == [final for final in rig.finals() if final.sample > frame.sample]


def test_a_state_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(LinkBroken):
        Track(opened(resume=b"\xc1"), GATE)


class ForgetsNothing(ScriptedStream):
    def resume(self) -> bytes:
        return bytes(5000)


class ForgetsNothingEngine(ScriptedEngine):
    def open(self, resume: bytes = b"", options: Options = PLAIN) -> ScriptedStream:
        return ForgetsNothing(parse_script("words"))


def test_an_engine_whose_state_is_too_large_breaks_its_stream() -> None:
    with pytest.raises(EngineFailed):
        Rig(engine=ForgetsNothingEngine(Setup("words"))).feed(SPEECH)


# --- again ------------------------------------------------------------------------------------------------------------


class WantsItAgain(ScriptedEngine):
    """Asks for a segment again when it has heard so many windows of it, so many times."""

    def __init__(self, *, after: int, times: int, at_the_end: bool = False) -> None:
        super().__init__(Setup("words"))
        self.after = after
        self.times = times
        self.at_the_end = at_the_end

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> ScriptedStream:
        return _WantsItAgainStream(self)

    def step(self, streams: list[Stream]) -> list[Outcome]:  # type: ignore[override] # a list is what it gets
        outcomes = super().step(streams)
        for stream in streams:
            assert isinstance(stream, _WantsItAgainStream)
            if not self.at_the_end and self.times and stream.windows >= self.after:
                self.times -= 1
                return [Outcome.AGAIN]
        return outcomes


class _WantsItAgainStream(ScriptedStream):
    def __init__(self, engine: WantsItAgain) -> None:
        super().__init__(parse_script("words"))
        self.engine = engine
        self.windows = 0

    def begin(self, first_sample: int) -> None:
        super().begin(first_sample)
        self.windows = 0

    def accept(self, pcm: bytes) -> None:
        super().accept(pcm)
        self.windows += 1

    def finish(self) -> tuple[Word, ...]:
        if self.engine.at_the_end and self.engine.times:
            self.engine.times -= 1
            return Outcome.AGAIN  # type: ignore[return-value] # the contract allows it, this double's base does not
        return super().finish()


@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_a_segment_wanted_again_is_fed_again_and_comes_out_the_same(times: int, at_the_end: bool) -> None:
    calm = Rig().feed(SPEECH).say(Finish(7))
    rig = Rig(engine=WantsItAgain(after=12, times=times, at_the_end=at_the_end)).feed(SPEECH).say(Finish(7))
    assert rig.finals() == calm.finals()
    assert len(rig.quanta) > len(calm.quanta)


@pytest.mark.parametrize("times", [0, 3])
def test_what_comes_at_the_pace_of_speech_is_never_counted_faster(times: int) -> None:
    rig = Rig(engine=WantsItAgain(after=12, times=times))
    for at in range(0, len(SPEECH), 3200):
        before = len(rig.new_windows)
        rig.feed(SPEECH[at : at + 3200])
        assert sum(rig.new_windows[before:]) <= 4
    decoded = sum(len(quantum.windows) for quantum in rig.quanta)
    assert 0 < sum(rig.new_windows) < decoded


def test_a_burst_is_counted_but_for_what_the_gate_held_back() -> None:
    rig = Rig().feed(silence(1500) + say("alfa bravo charlie delta"), size=1_000_000)
    decoded = sum(len(quantum.windows) for quantum in rig.quanta)
    assert decoded - OPENING_WINDOWS <= sum(rig.new_windows) < decoded


def test_no_partials_come_until_what_was_decoded_before_is_caught_up_with() -> None:
    rig = Rig(engine=WantsItAgain(after=20, times=1)).feed(SPEECH).say(Finish(7))
    samples = [frame.sample for frame in rig.frames if isinstance(frame, PartialResult)]
    assert samples == sorted(samples)


def test_an_engine_that_never_has_enough_breaks_its_stream() -> None:
    with pytest.raises(EngineFailed):
        Rig(engine=WantsItAgain(after=1, times=1000)).feed(SPEECH)


def test_a_segment_wanted_again_waits_from_then_on() -> None:
    rig = Rig()
    rig.track.receive(say("alfa bravo charlie"), 1.0)
    while rig.track.gate_stream.pending:
        GATE.step([rig.track.gate_stream])
        rig.track.judged()
    assert rig.track.waiting_since == 1.0
    rig.track.take_quantum(9)
    rig.track.apply(Decoded(0.0, again=True), 5.0)
    assert rig.track.waiting_since == 5.0


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_more_audio_than_the_window_allows_breaks_the_stream() -> None:
    track = Track(opened(), GATE)
    track.receive(bytes(2 * MAX_UNCONSUMED_SAMPLES), 0.0)
    with pytest.raises(LinkBroken):
        track.receive(bytes(2), 0.0)


def test_too_many_flushes_break_the_stream() -> None:
    track = Track(opened(), GATE)
    track.receive(silence(1000), 0.0)
    for mark in range(MAX_WAITING_FLUSHES):
        track.flush(Flush(7, mark))
    with pytest.raises(LinkBroken):
        track.flush(Flush(7, 99))


def test_nothing_may_follow_the_finish() -> None:
    for is_judged in (False, True):
        track = Track(opened(), GATE)
        if not is_judged:
            track.receive(silence(1000), 0.0)
        track.flush(Finish(7))
        with pytest.raises(LinkBroken):
            track.receive(silence(20), 0.0)


def test_words_are_straightened_into_their_segment() -> None:
    words = [Word("a", 50, 200, 1.5), Word("b", 150, 120, -1.0), Word("c", 900, 5000, 0.12345)]
    assert list(straighten(words, 100, 1000)) == [
        ("a", 100, 200, 1.0),
        ("b", 200, 200, 0.0),
        ("c", 900, 1000, 0.123),
    ]
