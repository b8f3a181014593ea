"""The scripted engine: exact words and times from tones, nothing from anything else."""

from __future__ import annotations

import random
import struct
import time

import pytest

from scribewire.core.words import Word
from scribewire.engines.base import Setup, Stream
from scribewire.engines.scripted import ScriptedEngine, parse_script
from scribewire.errors import BadSettings
from scribewire.tones import VOCABULARY, say, silence
from tests.engines.hearing import MOST_LEFT_BYTES, feed, finished, left_by_ten_thousand
from tests.speech import Clip, clips


def hear(pcm: bytes, *, first_sample: int = 0, model: str = "words") -> tuple[Word, ...]:
    stream = ScriptedEngine(Setup(model)).open()
    stream.begin(first_sample)
    stream.accept(pcm)
    return stream.finish()


def test_every_word_of_the_vocabulary_is_heard_once() -> None:
    assert tuple(word.text for word in hear(say(VOCABULARY))) == VOCABULARY


@pytest.mark.parametrize("shift_samples", range(0, 160, 23))
def test_the_shortest_word_is_heard_to_ten_milliseconds_wherever_it_begins(shift_samples: int) -> None:
    words = hear(bytes(2 * shift_samples) + say(VOCABULARY, word_ms=120), first_sample=777)
    assert tuple(word.text for word in words) == VOCABULARY
    for number, word in enumerate(words):
        start = 777 + shift_samples + number * 320 * 16
        assert abs(word.start_sample - start) <= 160
        assert abs(word.end_sample - (start + 120 * 16)) <= 160


def test_a_word_said_twice_is_two_words() -> None:
    assert [word.text for word in hear(say("echo echo", gap_ms=40))] == ["echo", "echo"]


def test_words_without_a_gap_are_told_apart() -> None:
    assert [word.text for word in hear(say("alfa bravo alfa", gap_ms=0))] == ["alfa", "bravo", "alfa"]


def test_silence_and_noise_are_nothing() -> None:
    noise = random.Random(0)
    assert hear(silence(2000)) == ()
    assert hear(struct.pack("<32000h", *(noise.randint(-9000, 9000) for _ in range(32_000)))) == ()


@pytest.mark.parametrize("clip", clips().values(), ids=lambda clip: clip.name)
def test_real_speech_is_nothing(clip: Clip) -> None:
    assert hear(clip.pcm()) == ()


def test_a_tone_cut_short_is_nothing() -> None:
    assert hear(say("golf", word_ms=40)) == ()


def test_the_null_form_hears_nothing() -> None:
    assert hear(say("alfa"), model="null") == ()


@pytest.mark.parametrize("gil", ["hold", "release"])
def test_the_cost_is_burnt_in_the_thread_that_steps(gil: str) -> None:
    before = time.thread_time()
    hear(silence(1000), model=f"null,cost=0.05,gil={gil}")
    assert 0.05 <= time.thread_time() - before < 0.1


def test_only_an_engine_that_holds_the_gil_gets_lanes() -> None:
    assert ScriptedEngine(Setup("words")).traits.releases_gil
    assert not ScriptedEngine(Setup("words,gil=hold")).traits.releases_gil


@pytest.mark.parametrize("model", ["tunes", "words,cost=much", "words,cost=-1", "words,gil=maybe", "words,speed=2"])
def test_a_model_it_does_not_know_is_refused_by_name(model: str) -> None:
    with pytest.raises(BadSettings, match=model):
        parse_script(model)


@pytest.mark.long
def test_ten_thousand_streams_leave_nothing_behind() -> None:
    def decode(stream: Stream) -> None:
        feed(stream, say("golf"))
        assert finished(stream) == ["golf"]

    assert left_by_ten_thousand(ScriptedEngine(Setup("words")).open, decode, every=10) <= MOST_LEFT_BYTES
