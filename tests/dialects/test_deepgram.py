"""The Deepgram dialect: its query, what it hears and what it says."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire import errors
from scribewire.core import events as ev
from scribewire.core.audio import AudioFormat, samples_of_ms
from scribewire.dialects.base import Answer, Encoded, Identity, Request
from scribewire.dialects.deepgram import Deepgram
from scribewire.errors import BadRequest

PCM = "encoding=linear16&sample_rate=16000"


def final(*words: tuple[str, int, int], end_ms: int, confidence: float = 0.5) -> ev.Final:
    """Give a final of words with their times in milliseconds."""
    spoken = tuple(ev.Word(text, samples_of_ms(start), samples_of_ms(end), confidence) for text, start, end in words)
    return ev.Final(spoken, samples_of_ms(end_ms))


HI = final(("Hi,", 100, 300), ("you", 300, 600), end_ms=1000)
BYE = final(("bye", 3000, 3400), end_ms=4000)


def opened(query: str = "", headers: dict[str, str] | None = None) -> Deepgram:
    """Give a dialect whose upgrade was taken."""
    pairs = parse_qsl(query)
    at = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    dialect = Deepgram("r-1", Request(headers or {}, dict(pairs), pairs, at))
    dialect.check()
    return dialect


def said(dialect: Deepgram, *messages: ev.Message) -> list[dict[str, Any]]:
    """Give what the dialect makes of messages."""
    return [json.loads(text) for message in messages for text in dialect.say(message)]


def options(query: str) -> ev.StartOptions:
    [started] = opened(query).begin()
    assert isinstance(started, ev.Started)
    return started.options


# --- the upgrade ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "identity"),
    [
        ({"authorization": "Token secret"}, Identity("secret")),
        ({"authorization": "token secret"}, Identity("secret")),
        ({"authorization": "Bearer secret"}, Identity()),  # everybody's
        ({"sec-websocket-protocol": "token, secret"}, Identity("secret", "token")),
        ({"sec-websocket-protocol": "bearer,secret"}, Identity("secret", "bearer")),
        ({"sec-websocket-protocol": "chat"}, Identity()),
        ({}, Identity()),
    ],
)
def test_a_credential_stands_in_the_header_or_the_subprotocol(headers: dict[str, str], identity: Identity) -> None:
    assert Deepgram.identify(Request(headers)) == identity
    assert Deepgram.keyed_later is False


@pytest.mark.parametrize(
    ("query", "audio"),
    [
        ("", AudioFormat("container", 48_000)),
        ("encoding=ogg-opus", AudioFormat("container", 48_000)),
        (PCM, AudioFormat()),
        ("encoding=linear16&sample_rate=44100&channels=2", AudioFormat("linear16", 44_100, 2)),
        ("encoding=mulaw&sample_rate=8000", AudioFormat("mulaw", 8_000)),
        ("encoding=opus", AudioFormat("opus", 48_000)),
        (f"{PCM}&channels=2&multichannel=true", AudioFormat(channels=2, apart=True)),
        ("multichannel=true&channels=2", AudioFormat("container", 48_000, 1, apart=True)),  # which it says itself
        ("multichannel=false&encoding=flac&channels=2", AudioFormat("flac", 48_000)),
    ],
)
def test_the_query_names_the_audio(query: str, audio: AudioFormat) -> None:
    assert opened(query).audio == audio


def test_the_query_names_what_is_wanted() -> None:
    assert options("") == ev.StartOptions(partial=False)
    assert options("interim_results=true").partial
    assert options("vad_events=True").partial
    assert options("numerals=true").actual_numbers
    assert options("smart_format=true").actual_numbers
    assert options("utterance_end_ms=1000").quiet
    assert options("keyterm=New+York&keyterm=Oslo&keywords=fjord:2&keywords=um:-5").vocabulary == (
        "New York",
        "Oslo",
        "fjord",
    )


@pytest.mark.parametrize(
    ("query", "language", "kind"),
    [
        ("", None, "fast"),
        ("language=en-US&model=nova-3", "en-US", "fast"),
        ("language=multi&model=quality", None, "quality"),
        ("language=de&detect_language=true&model=whisper-large", None, "quality"),
        ("model=nova-3&type=quality", None, "quality"),
    ],
)
def test_the_query_names_language_and_model(query: str, language: str | None, kind: str) -> None:
    dialect = opened(query)
    assert (dialect.language, dialect.type) == (language, kind)


@pytest.mark.parametrize(
    "query",
    [
        "encoding=g729",
        "encoding=linear16",
        "encoding=linear16&sample_rate=4000",
        "encoding=linear16&sample_rate=many",
        "encoding=linear16&sample_rate=16000&channels=9",
        "encoding=opus&channels=3",
        "multichannel=both",
        "interim_results=perhaps",
        "endpointing=soon",
        "utterance_end_ms=0",
        "utterance_end_ms=" + "9" * 5_000,
        "callback=http://somewhere",
        "redact=pci",
    ],
)
def test_what_cannot_be_done_is_refused_as_the_vendor_does(query: str) -> None:
    dialect = Deepgram("r-1", Request({}, dict(parse_qsl(query)), parse_qsl(query)))
    with pytest.raises(BadRequest) as caught:
        dialect.check()
    body = json.loads(dialect.refuse(caught.value))
    assert body == {"err_code": "Bad Request", "err_msg": f"Bad Request: {caught.value}", "request_id": "r-1"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotAuthenticated(), "INVALID_AUTH"),
        (errors.NotPermitted(), "INSUFFICIENT_PERMISSIONS"),
        (errors.AtCapacity(), "TOO_MANY_REQUESTS"),
        (errors.SessionLimit(), "TOO_MANY_REQUESTS"),
        (errors.ServiceStopping(), "SERVICE_STOPPING"),
    ],
)
def test_a_refusal_has_the_vendors_words(error: errors.ScribewireError, code: str) -> None:
    body = json.loads(opened().refuse(error))
    assert body.keys() == {"err_code", "err_msg", "request_id"}
    assert body["err_code"] == code


def test_every_answer_to_an_upgrade_names_the_request() -> None:
    assert opened().headers == {"dg-request-id": "r-1"}


# --- what is heard ----------------------------------------------------------------------------------------------------


def test_frames_are_audio_and_messages() -> None:
    dialect = opened(PCM)
    assert dialect.hear(b"\1\2") == (Encoded(b"\1\2"),)
    assert dialect.hear('{"type":"KeepAlive"}') == (ev.AudioReceived(b""),)
    assert dialect.hear('{"type": "Finalize"}') == (ev.FlushAsked(),)
    assert dialect.hear('{"type":"CloseStream"}') == (ev.Stopped(),)
    assert dialect.hear(b"") == (ev.Stopped(),)


def test_a_stream_cannot_be_configured() -> None:
    [answer] = opened().hear('{"type":"Configure","keyterms":["Oslo"]}')
    assert isinstance(answer, Answer)
    failure = json.loads(answer.text)
    assert (failure["type"], failure["request_id"]) == ("ConfigureFailure", "r-1")


@given(st.one_of(st.text(), st.recursive(st.none() | st.text(), lambda j: st.lists(j)).map(json.dumps)))
def test_what_cannot_be_understood_comes_back(text: str) -> None:
    dialect = opened()
    [event] = dialect.hear(text)
    assert isinstance(event, ev.Misspoke)
    [error] = said(dialect, ev.Failed(errors.BadMessage(event.sentence), event.about))
    assert (error["type"], error["variant"], error["message"]) == ("Error", "SchemaError", text)


# --- what is said -----------------------------------------------------------------------------------------------------


def test_a_final_is_a_result() -> None:
    [result] = said(opened(), ev.Listening(), HI)
    assert result["metadata"]["request_id"] == "r-1"
    del result["metadata"]
    assert result == {
        "type": "Results",
        "channel_index": [0, 1],
        "start": 0.0,
        "duration": 1.0,
        "is_final": True,
        "speech_final": True,
        "from_finalize": False,
        "channel": {
            "alternatives": [
                {
                    "transcript": "hi you",
                    "confidence": 0.5,
                    "words": [
                        {"word": "hi", "start": 0.1, "end": 0.3, "confidence": 0.5},
                        {"word": "you", "start": 0.3, "end": 0.6, "confidence": 0.5},
                    ],
                }
            ]
        },
    }


def test_results_follow_each_other_without_a_gap() -> None:
    dialect = opened("interim_results=true")
    results = said(dialect, HI, ev.Partial("bye", samples_of_ms(3500), 0.7), BYE)
    assert [(result["start"], result["duration"], result["is_final"]) for result in results] == [
        (0.0, 1.0, True),
        (1.0, 2.5, False),
        (1.0, 3.0, True),
    ]
    assert results[1]["channel"]["alternatives"] == [{"transcript": "bye", "confidence": 0.7, "words": []}]
    assert not results[1]["speech_final"]


def test_words_are_written_where_that_is_asked_for() -> None:
    [result] = said(opened("punctuate=true"), HI)
    [alternative] = result["channel"]["alternatives"]
    assert alternative["transcript"] == "Hi, you"
    assert [(word["word"], word["punctuated_word"]) for word in alternative["words"]] == [("hi", "Hi,"), ("you", "you")]


def test_interim_results_come_only_where_asked_for() -> None:
    partial = ev.Partial("hi", samples_of_ms(300), 0.5)
    assert said(opened(), partial) == []
    assert len(said(opened("interim_results=true"), partial)) == 1


def test_without_endpointing_no_end_of_speech_is_marked() -> None:
    [result] = said(opened("endpointing=false"), HI)
    assert result["is_final"]
    assert not result["speech_final"]
    assert said(opened("endpointing=300"), HI)[0]["speech_final"]


def test_the_last_final_before_a_finalize_is_answered_says_so() -> None:
    dialect = opened()
    dialect.hear('{"type":"Finalize"}')
    assert said(dialect, HI) == []
    assert [result["from_finalize"] for result in said(dialect, BYE)] == [False]
    assert [result["from_finalize"] for result in said(dialect, ev.Flushed(None))] == [True]
    assert [result["from_finalize"] for result in said(dialect, BYE)] == [False]


def test_a_finalize_that_caused_nothing_is_answered_by_an_empty_result() -> None:
    dialect = opened()
    dialect.hear('{"type":"Finalize"}')
    [result] = said(dialect, ev.Flushed(None))
    assert (result["from_finalize"], result["is_final"], result["duration"]) == (True, True, 0.0)
    assert result["channel"]["alternatives"] == [{"transcript": "", "confidence": 0.0, "words": []}]


def test_a_finalize_that_is_refused_holds_nothing_back() -> None:
    dialect = opened()
    dialect.hear('{"type":"Finalize"}')
    assert [message["type"] for message in said(dialect, ev.Failed(errors.BadMessage("Too many.")), HI)] == [
        "Error",
        "Results",
    ]


def test_the_start_of_speech_is_told_once_a_segment() -> None:
    dialect = opened("vad_events=true")
    partials = [ev.Partial("hi", samples_of_ms(ms), 0.5) for ms in (300, 400)]
    started = [message for message in said(dialect, *partials, HI, BYE) if message["type"] == "SpeechStarted"]
    assert started == [
        {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.3},
        {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 3.0},
    ]


def test_speech_that_came_to_no_words_has_ended_and_the_next_is_told_too() -> None:
    dialect = opened("vad_events=true")
    assert options("vad_events=true").quiet
    messages = said(
        dialect,
        ev.Partial("hm", samples_of_ms(300), 0.5),
        ev.Quiet(samples_of_ms(200)),  # of the silence before it
        ev.Partial("hm", samples_of_ms(400), 0.5),
        ev.Quiet(samples_of_ms(1000)),
        ev.Partial("bye", samples_of_ms(3300), 0.5),
        BYE,
    )
    assert [message["timestamp"] for message in messages if message["type"] == "SpeechStarted"] == [0.3, 3.3]


def test_the_end_of_an_utterance_is_told_once_after_the_gap() -> None:
    dialect = opened("utterance_end_ms=1000")
    assert [message["type"] for message in said(dialect, HI, ev.Quiet(samples_of_ms(1599)))] == ["Results"]
    assert said(dialect, ev.Quiet(samples_of_ms(1600)), ev.Quiet(samples_of_ms(3000))) == [
        {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 0.6}
    ]


def test_each_channel_is_told_by_itself_under_its_number() -> None:
    dialect = opened("multichannel=true&vad_events=true&utterance_end_ms=1000")
    dialect.spread(2)
    messages: list[tuple[int, ev.Message]] = [(1, HI), (0, BYE), (1, ev.Quiet(samples_of_ms(1600)))]
    told = [json.loads(text) for channel, message in messages for text in dialect.say_of(channel, message)]
    assert [(each["type"], each.get("channel_index") or each["channel"]) for each in told] == [
        ("SpeechStarted", [1, 2]),
        ("Results", [1, 2]),
        ("SpeechStarted", [0, 2]),
        ("Results", [0, 2]),
        ("UtteranceEnd", [1, 2]),
    ]
    assert [(each["start"], each["duration"]) for each in told if each["type"] == "Results"] == [(0.0, 1.0), (0.0, 4.0)]


def test_a_finalize_is_answered_by_each_channel() -> None:
    dialect = opened("multichannel=true")
    dialect.spread(2)
    dialect.hear('{"type":"Finalize"}')
    assert dialect.say_of(1, HI) == ()
    [held] = dialect.say_of(1, ev.Flushed(None))
    [empty] = dialect.say_of(0, ev.Flushed(None))
    assert json.loads(held)["from_finalize"]
    assert json.loads(empty)["from_finalize"]
    assert [json.loads(text)["from_finalize"] for text in dialect.say_of(1, BYE)] == [False]


def test_the_end_is_told_once_after_the_last_channel() -> None:
    dialect = opened("multichannel=true")
    dialect.spread(2)
    assert dialect.say_of(1, ev.StoppedSaid(samples_of_ms(2500))) == ()
    [metadata] = dialect.say_of(0, ev.StoppedSaid(samples_of_ms(2400)))
    assert (json.loads(metadata)["channels"], json.loads(metadata)["duration"]) == (2, 2.5)


def test_the_end_is_metadata() -> None:
    dialect = opened()
    for frame in (b"\1\2", b"\3"):
        dialect.hear(frame)
    assert said(dialect, ev.StoppedSaid(samples_of_ms(2500))) == [
        {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": "r-1",
            "sha256": hashlib.sha256(b"\1\2\3").hexdigest(),
            "created": "2024-05-06T07:08:09.000Z",
            "duration": 2.5,
            "channels": 1,
        }
    ]


def test_an_error_is_told_and_closes_as_the_vendor_does() -> None:
    dialect = opened()
    [error] = said(dialect, ev.Failed(errors.UnsupportedAudio("It is no audio.")))
    assert error == {
        "type": "Error",
        "variant": "unsupported_audio",
        "code": "unsupported_audio",
        "description": "It is no audio.",
    }
    assert [dialect.close_code(code) for code in (1000, 1003, 1008, 1013)] == [1000, 1008, 1008, 1013]
