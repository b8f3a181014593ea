"""The Vosk dialect: what it makes of each frame, and that it answers each frame of audio exactly once."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire import errors
from scribewire.core import events as ev
from scribewire.core.audio import AudioFormat, samples_of_ms
from scribewire.dialects.base import Answer, Encoded, Request
from scribewire.dialects.table import DIALECTS, PATHS
from scribewire.dialects.vosk import Vosk

CHUNK = bytes(3200)
WORDS = (
    ev.Word("hi", samples_of_ms(120), samples_of_ms(300), 0.971_234_4),
    ev.Word("you", samples_of_ms(330), samples_of_ms(600), 0.95),
)
HI_YOU = ev.Final(WORDS, samples_of_ms(700))
THERE = ev.Final((ev.Word("there", samples_of_ms(900), samples_of_ms(1200), 0.8),), samples_of_ms(1300))


def vosk(query: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Vosk:
    return Vosk("s-1", Request(headers or {}, query or {}))


def configured(**config: object) -> Vosk:
    dialect = vosk()
    assert dialect.hear(json.dumps({"config": config})) == ()
    return dialect


def answer(dialect: Vosk) -> Any:
    """Send one frame of audio and read the one answer to it."""
    *_, audio, last = dialect.hear(CHUNK)
    assert audio == Encoded(CHUNK)
    assert isinstance(last, Answer)
    return json.loads(last.text)


def options(dialect: Vosk) -> ev.StartOptions:
    started = dialect.hear(CHUNK)[0]
    assert isinstance(started, ev.Started)
    return started.options


def test_it_has_a_path_of_its_own() -> None:
    assert [row.path for row in PATHS if DIALECTS[row.dialect] is Vosk] == ["/vosk"]


# --- who comes in -----------------------------------------------------------------------------------------------------


def test_a_key_is_the_password_of_the_url_or_its_only_part() -> None:
    def credential(user_info: str) -> str | None:
        encoded = base64.b64encode(user_info.encode()).decode()
        return Vosk.identify(Request({"authorization": f"Basic {encoded}"})).credential

    assert credential("anybody:sw_key") == "sw_key"
    assert credential("sw_key:") == "sw_key"
    assert credential(":") is None


@pytest.mark.parametrize("header", ["", "Bearer sw_key", "Basic", "Basic ?", "Basic /////w==", "Basic é"])
def test_any_other_authorization_is_not_its_own(header: str) -> None:
    assert Vosk.identify(Request({"authorization": header})).credential is None


def test_a_key_is_due_at_the_upgrade() -> None:
    assert not Vosk.keyed_later


def test_a_rate_in_the_url_that_is_none_refuses_the_upgrade() -> None:
    with pytest.raises(errors.BadRequest):
        vosk({"sample_rate": "fast"}).check()
    vosk({"sample_rate": "16000"}).check()


# --- config -----------------------------------------------------------------------------------------------------------


def test_audio_has_the_servers_rate_until_the_url_or_a_config_says_another() -> None:
    assert vosk().audio == AudioFormat(sample_rate_hz=8000)
    assert vosk({"sample_rate": "16000"}).audio == AudioFormat()
    assert configured(sample_rate=16000.0).audio == AudioFormat()
    assert configured(sample_rate="44100").audio == AudioFormat(sample_rate_hz=44_100)


def test_the_first_audio_starts_the_session_with_the_phrases_as_its_vocabulary() -> None:
    dialect = configured(phrase_list=["one  two", "three", "one two", "[unk]", "", "x" * 65])
    assert options(dialect) == ev.StartOptions(vocabulary=("one two", "three"), quiet=True)
    assert not [event for event in dialect.hear(CHUNK) if isinstance(event, ev.Started)]


def test_more_phrases_than_a_stream_takes_are_cut() -> None:
    dialect = configured(phrase_list=[f"word {number}" for number in range(500)])
    assert len(options(dialect).vocabulary) == 200


def test_a_config_after_audio_changes_nothing() -> None:
    dialect = vosk()
    dialect.hear(CHUNK)
    assert dialect.hear('{"config": {"sample_rate": 16000}}') == ()
    assert dialect.audio.sample_rate_hz == 8000


def test_options_of_other_servers_are_passed_over() -> None:
    assert configured(model="/models/en", unknown=1).audio.sample_rate_hz == 8000


# --- one answer a frame -----------------------------------------------------------------------------------------------


def test_each_frame_is_answered_with_the_newest_partial() -> None:
    dialect = vosk()
    assert answer(dialect) == {"partial": ""}
    assert dialect.say(ev.Partial("hi", 1600, 0.0)) == ()
    assert dialect.say(ev.Partial("hi you", 3200, 0.5)) == ()
    assert [answer(dialect), answer(dialect)] == [{"partial": "hi you"}] * 2


def test_a_final_waits_for_a_frame_to_answer_and_is_told_once() -> None:
    dialect = vosk()
    dialect.say(ev.Partial("hi you", 3200, 0.5))
    assert dialect.say(HI_YOU) == ()
    assert answer(dialect) == {
        "result": [
            {"conf": 0.971234, "end": 0.3, "start": 0.12, "word": "hi"},
            {"conf": 0.95, "end": 0.6, "start": 0.33, "word": "you"},
        ],
        "text": "hi you",
    }
    assert answer(dialect) == {"partial": ""}


def test_finals_that_came_between_two_frames_are_one_result() -> None:
    dialect = vosk()
    dialect.say(HI_YOU)
    dialect.say(THERE)
    assert answer(dialect)["text"] == "hi you there"


def test_a_segment_that_ends_without_a_word_takes_its_partial_with_it() -> None:
    dialect = vosk()
    dialect.say(ev.Partial("hm", 3200, 0.5))
    dialect.say(ev.Quiet(3199))
    assert answer(dialect) == {"partial": "hm"}
    dialect.say(ev.Quiet(3200))
    assert answer(dialect) == {"partial": ""}


def test_the_end_has_one_answer_with_all_that_was_left() -> None:
    dialect = vosk()
    dialect.hear(CHUNK)
    assert dialect.hear('{"eof" : 1}') == (ev.Stopped(),)
    assert dialect.say(HI_YOU) == ()
    assert dialect.say(THERE) == ()
    [last] = dialect.say(ev.StoppedSaid(32_000))
    assert json.loads(last)["text"] == "hi you there"


def test_the_end_of_nothing_is_an_empty_text() -> None:
    dialect = vosk()
    assert dialect.hear('{"eof":1}') == (ev.Stopped(),)
    assert dialect.say(ev.StoppedSaid()) == ('{"text":""}',)


def test_what_follows_the_end_is_not_heard() -> None:
    dialect = vosk()
    dialect.hear('{"eof":1}')
    assert dialect.hear(CHUNK) == ()
    assert dialect.hear("nonsense") == ()


def test_words_are_left_out_when_they_are_not_wanted() -> None:
    dialect = configured(words=False)
    dialect.say(HI_YOU)
    assert answer(dialect) == {"text": "hi you"}


def test_alternatives_are_the_one_that_there_is() -> None:
    dialect = configured(max_alternatives=3)
    dialect.say(THERE)
    words = [{"end": 1.2, "start": 0.9, "word": "there"}]
    assert answer(dialect) == {"alternatives": [{"confidence": 0.8, "result": words, "text": "there"}]}
    dialect.hear('{"eof":1}')
    [last] = dialect.say(ev.StoppedSaid())
    assert json.loads(last) == {"alternatives": [{"confidence": 0.0, "result": [], "text": ""}]}


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "{}",
        '{"config": 1}',
        '{"config": {"phrase_list": "one two"}}',
        '{"config": {"phrase_list": [1]}}',
        '{"config": {"sample_rate": "fast"}}',
        '{"config": {"sample_rate": []}}',
        '{"config": {"sample_rate": 1e999}}',
        '{"action": "start"}',
    ],
)
def test_a_message_that_is_not_understood_ends_the_session_as_the_server_does(text: str) -> None:
    [denied] = vosk().hear(text)
    assert isinstance(denied, ev.Denied)
    assert isinstance(denied.error, errors.BadMessage)


def test_an_error_is_no_message_but_the_reason_of_the_close() -> None:
    dialect = vosk()
    assert dialect.close_reason == ""
    assert dialect.say(ev.Failed(errors.ScaledDown())) == ()
    assert dialect.close_reason == errors.ScaledDown.sentence


def test_a_long_reason_is_cut_to_what_a_close_frame_holds() -> None:
    dialect = vosk()
    dialect.say(ev.Failed(errors.BadMessage("é" * 100)))
    assert dialect.close_reason == "é" * 61


def test_nothing_else_is_said() -> None:
    for message in (ev.Listening(), ev.ShuttingDown(1), ev.Flushed(None)):
        assert vosk().say(message) == ()


@given(st.text() | st.binary())
def test_no_frame_makes_it_raise(frame: str | bytes) -> None:
    vosk().hear(frame)
