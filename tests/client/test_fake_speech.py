"""Audio that carries its words, heard the same however it is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire.client.fake_speech import Hearing, Message, say, silence

SPEECH = silence(250) + say("hi how are you") + say("fine")


def hear(pcm: bytes, cuts: list[int]) -> list[Message]:
    hearing = Hearing()
    edges = [0, *sorted(2 * cut for cut in cuts), len(pcm)]
    return [said for start, end in pairwise(edges) for said in hearing.hear(pcm[start:end])]


def test_an_utterance_is_its_words_where_they_were_said() -> None:
    finals = [said for said in hear(SPEECH, []) if said["is_final"]]
    assert [final["text"] for final in finals] == ["hi how are you", "fine"]
    assert finals[0]["words"] == [
        ("hi", 250, 450, 0.9),
        ("how", 550, 750, 0.9),
        ("are", 850, 1050, 0.9),
        ("you", 1150, 1350, 0.9),
    ]
    assert finals[0]["offset_ms"] == 1650


@given(st.lists(st.integers(0, len(SPEECH) // 2), max_size=8))
def test_frames_make_no_difference(cuts: list[int]) -> None:
    assert hear(SPEECH, cuts) == hear(SPEECH, [])


def test_a_flush_ends_the_utterance() -> None:
    hearing = Hearing()
    list(hearing.hear(say("one two")[: 2 * 8000]))
    assert [said["text"] for said in hearing.flush()] == ["one two"]
    assert list(hearing.flush()) == []


@pytest.mark.parametrize("word", ["ünïcödé", "漢字", "x" * 100])
def test_any_word_may_be_said(word: str) -> None:
    assert hear(say(word), [])[-1]["text"] == word


def test_a_word_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        say("x" * 101)
