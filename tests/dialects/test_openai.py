"""The OpenAI dialect: events in, events out, turns detected and committed, and transcripts that only grow."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire import errors
from scribewire.core import events as ev
from scribewire.core.audio import AudioFormat, samples_of_ms
from scribewire.core.flushes import MAX_FLUSHES
from scribewire.dialects.base import Answer, Encoded, Identity, Request
from scribewire.dialects.openai import OpenAI
from scribewire.dialects.table import DIALECTS, PATHS

HALF_SECOND = bytes(24_000)
TRANSCRIPTION = "conversation.item.input_audio_transcription"
BETA = {"openai-beta": "realtime=v1"}


def openai(query: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> OpenAI:
    return OpenAI("s", Request(headers or {}, query or {}))


def send(dialect: OpenAI, kind: str, **fields: object) -> Sequence[ev.Event | Encoded | Answer]:
    return dialect.hear(json.dumps({"type": kind, **fields}))


def append(dialect: OpenAI, audio: bytes = HALF_SECOND) -> Sequence[ev.Event | Encoded | Answer]:
    return send(dialect, "input_audio_buffer.append", audio=base64.b64encode(audio).decode())


def configure(dialect: OpenAI, **audio_input: object) -> dict[str, Any]:
    """Update the session and give the effective configuration of its input."""
    answer = send(dialect, "session.update", session={"type": "transcription", "audio": {"input": audio_input}})[0]
    assert isinstance(answer, Answer)
    updated = json.loads(answer.text)
    assert updated["type"] == "session.updated"
    configuration: dict[str, Any] = updated["session"]["audio"]["input"]
    return configuration


def said(dialect: OpenAI, *messages: ev.Message) -> list[dict[str, Any]]:
    return [json.loads(text) for message in messages for text in dialect.say(message)]


def answers(heard: Sequence[ev.Event | Encoded | Answer]) -> list[dict[str, Any]]:
    return [json.loads(event.text) for event in heard if isinstance(event, Answer)]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def deltas(events: list[dict[str, Any]]) -> list[str]:
    return [event["delta"] for event in events if event["type"] == f"{TRANSCRIPTION}.delta"]


def transcripts(events: list[dict[str, Any]]) -> list[str]:
    return [event["transcript"] for event in events if event["type"] == f"{TRANSCRIPTION}.completed"]


def partial(text: str, ms: float, stability: float = 1.0) -> ev.Partial:
    return ev.Partial(text, samples_of_ms(ms), stability)


def final(text: str, ms: float) -> ev.Final:
    words = tuple(ev.Word(word, 0, samples_of_ms(ms), 0.9) for word in text.split())
    return ev.Final(words, samples_of_ms(ms))


def flush_of(heard: Sequence[ev.Event | Encoded | Answer]) -> ev.Flushed:
    [asked] = [event for event in heard if isinstance(event, ev.FlushAsked)]
    return ev.Flushed(asked.id)


def complaint(heard: Sequence[ev.Event | Encoded | Answer]) -> dict[str, Any]:
    """Give the error event that a misspoken event leads to."""
    [misspoke] = heard
    assert isinstance(misspoke, ev.Misspoke)
    [event] = said(openai(), ev.Failed(errors.BadMessage(misspoke.sentence), misspoke.about))
    assert event["type"] == "error"
    error: dict[str, Any] = event["error"]
    assert error["type"] == "invalid_request_error"
    return error


def test_it_has_a_path_of_its_own_and_a_key_is_due_at_the_upgrade() -> None:
    assert [row.path for row in PATHS if DIALECTS[row.dialect] is OpenAI] == ["/v1/realtime"]
    assert not OpenAI.keyed_later


# --- who comes in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "identity"),
    [
        ("realtime, openai-insecure-api-key.sw_key, openai-beta.realtime-v1", Identity("sw_key", "realtime")),
        ("realtime", Identity(None, "realtime")),
        ("openai-insecure-api-key.sw_key", Identity("sw_key", None)),
        ("", Identity()),
    ],
)
def test_a_browser_shows_its_key_among_its_subprotocols(offered: str, identity: Identity) -> None:
    assert OpenAI.identify(Request({"sec-websocket-protocol": offered})) == identity


def test_a_refused_upgrade_has_the_body_of_their_errors() -> None:
    body = json.loads(openai().refuse(errors.NotAuthenticated()))
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"] == "Not authenticated"
    assert json.loads(openai().refuse(errors.AtCapacity()))["error"]["type"] == "server_error"


# --- the session ------------------------------------------------------------------------------------------------------


def test_a_session_is_told_as_soon_as_it_is_there() -> None:
    [created] = answers(openai().begin())
    assert created["type"] == "session.created"
    assert created["session"] == {
        "id": "sess_s",
        "object": "realtime.transcription_session",
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "noise_reduction": None,
                "transcription": {"model": None, "language": None, "prompt": "", "keywords": []},
                "turn_detection": {"type": "server_vad"},
            }
        },
        "include": [],
    }


@pytest.mark.parametrize("headers", [BETA, {"sec-websocket-protocol": "realtime, openai-beta.realtime-v1"}])
def test_a_client_of_the_beta_is_told_in_its_shape(headers: dict[str, str]) -> None:
    [created] = answers(openai(headers=headers).begin())
    assert created["type"] == "transcription_session.created"
    assert created["session"]["input_audio_format"] == "pcm16"
    assert created["session"]["turn_detection"] == {"type": "server_vad"}


def test_an_update_changes_what_it_names_and_keeps_the_rest() -> None:
    dialect = openai()
    configure(dialect, transcription={"model": "quality", "language": "de"}, turn_detection=None)
    effective = configure(dialect, transcription={"prompt": "Kunden"}, noise_reduction={"type": "near_field"})
    assert effective["transcription"] == {"model": "quality", "language": "de", "prompt": "Kunden", "keywords": []}
    assert effective["turn_detection"] is None
    assert effective["noise_reduction"] is None
    assert (dialect.language, dialect.type) == ("de", "quality")


def test_the_beta_update_is_read_and_answered_in_its_own_shape() -> None:
    dialect = openai(headers=BETA)
    session = {
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1", "language": "en"},
        "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 350},
        "input_audio_noise_reduction": {"type": "near_field"},
    }
    [updated] = answers(send(dialect, "transcription_session.update", session=session))
    assert updated["type"] == "transcription_session.updated"
    assert updated["session"]["input_audio_format"] == "g711_ulaw"
    assert updated["session"]["turn_detection"] == {"type": "server_vad"}
    assert dialect.audio == AudioFormat("mulaw", 8000)
    assert dialect.language == "en"


@pytest.mark.parametrize(
    ("given", "audio"),
    [
        ({"type": "audio/pcm", "rate": 24_000}, AudioFormat(sample_rate_hz=24_000)),
        ({"type": "audio/pcm", "rate": 16_000}, AudioFormat()),
        ({"type": "audio/pcm"}, AudioFormat(sample_rate_hz=24_000)),
        ({"type": "audio/pcmu"}, AudioFormat("mulaw", 8000)),
        ({"type": "audio/pcma"}, AudioFormat("alaw", 8000)),
    ],
)
def test_audio_has_the_format_that_is_configured(given: dict[str, object], audio: AudioFormat) -> None:
    dialect = openai()
    configure(dialect, format=given)
    assert dialect.audio == audio


def test_language_and_type_may_stand_in_the_query_too() -> None:
    dialect = openai({"language": "de", "type": "quality", "model": "gpt-4o-transcribe"})
    assert (dialect.language, dialect.type) == ("de", "quality")
    assert openai({"model": "fast"}).type == "fast"
    configure(dialect, transcription={"language": ""})
    assert dialect.language is None


def test_the_first_of_several_languages_counts() -> None:
    dialect = openai()
    configure(dialect, transcription={"languages": ["de", "en"]})
    assert dialect.language == "de"


@pytest.mark.parametrize(
    ("transcription", "vocabulary"),
    [
        ({"keywords": ["Kerbal", " Jool  Five "]}, ("Kerbal", "Jool Five")),
        ({"prompt": "Kerbal, Jool Five,\nMinmus"}, ("Kerbal", "Jool Five", "Minmus")),
        ({"prompt": "expect words related to technology"}, ()),
    ],
)
def test_keywords_and_a_prompt_that_lists_them_are_the_vocabulary(
    transcription: dict[str, object], vocabulary: tuple[str, ...]
) -> None:
    dialect = openai()
    configure(dialect, transcription=transcription)
    assert append(dialect) == (ev.Started(ev.StartOptions(vocabulary=vocabulary, quiet=True)), Encoded(HALF_SECOND))


def test_what_the_stream_was_opened_with_stays_once_audio_came() -> None:
    dialect = openai()
    append(dialect)
    effective = configure(dialect, transcription={"language": "de"}, turn_detection=None)
    assert effective["transcription"]["language"] is None
    assert effective["turn_detection"] is None


# --- audio ------------------------------------------------------------------------------------------------------------


def test_the_first_audio_starts_the_session_once() -> None:
    dialect = openai()
    configure(dialect)
    assert [type(event) for event in append(dialect)] == [ev.Started, Encoded]
    assert append(dialect) == (Encoded(HALF_SECOND),)


def test_audio_beside_the_first_update_waits_for_it() -> None:
    dialect = openai()
    assert append(dialect, b"\1\2") == ()
    heard = send(dialect, "session.update", session={"audio": {"input": {"transcription": {"keywords": ["Jool"]}}}})
    started = ev.Started(ev.StartOptions(vocabulary=("Jool",), quiet=True))
    assert heard[1:] == (started, Encoded(b"\1\2"))


def test_audio_without_an_update_waits_a_quarter_of_a_second_or_for_a_commit() -> None:
    dialect = openai()
    assert append(dialect, bytes(9_600)) == ()
    assert [type(event) for event in append(dialect, bytes(2_400))] == [ev.Started, Encoded, Encoded]
    dialect = openai()
    append(dialect, bytes(9_600))
    heard = send(dialect, "input_audio_buffer.commit")
    assert [type(event) for event in heard[:3]] == [ev.Started, Encoded, ev.FlushAsked]


# --- turns that are detected ------------------------------------------------------------------------------------------


def test_a_detected_turn_is_told_from_its_start_to_its_transcript() -> None:
    dialect = openai()
    append(dialect)
    events = said(
        dialect,
        ev.Listening(),
        ev.Quiet(samples_of_ms(300)),
        partial("hi how", 900, 0.5),
        partial("hi how are", 1200, 0.67),
        final("hi how are you", 2000),
    )
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        f"{TRANSCRIPTION}.delta",
        f"{TRANSCRIPTION}.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{TRANSCRIPTION}.delta",
        f"{TRANSCRIPTION}.completed",
    ]
    assert events[0]["audio_start_ms"] == 300
    assert events[3]["audio_end_ms"] == 2000
    assert deltas(events) == ["hi", " how", " are you"]
    assert transcripts(events) == ["hi how are you"]
    assert events[-1]["usage"] == {"type": "duration", "seconds": 1.7}
    assert len({event.get("item_id", events[0]["item_id"]) for event in events}) == 1
    assert events[5]["item"]["id"] == events[0]["item_id"]
    assert len({event["event_id"] for event in events}) == len(events)


def test_each_item_names_the_one_before() -> None:
    dialect = openai()
    append(dialect)
    events = said(dialect, final("one", 900), final("two", 1900))
    first, second = (event for event in events if event["type"] == "input_audio_buffer.committed")
    assert first["previous_item_id"] is None
    assert second["previous_item_id"] == first["item_id"]


def test_a_client_of_the_beta_hears_of_items_by_their_earlier_event() -> None:
    dialect = openai(headers=BETA)
    append(dialect)
    events = said(dialect, final("one", 900))
    assert [kind for kind in kinds(events) if kind.startswith("conversation.item.") and "input" not in kind] == [
        "conversation.item.created"
    ]


def test_deltas_never_take_back_what_they_said() -> None:
    dialect = openai()
    append(dialect)
    events = said(
        dialect,
        partial("the grey tape", 900, 0.67),
        partial("the great ape", 1200, 0.34),
        final("the great ape", 2000),
        partial("is", 2500),
        final("is here", 3000),
    )
    assert deltas(events) == ["the grey", " ape", "is", " here"]
    assert transcripts(events) == ["the great ape", "is here"]


def test_words_that_are_not_expected_to_stay_are_not_said() -> None:
    dialect = openai()
    append(dialect)
    events = said(dialect, partial("hi how are", 900, 0.0))
    assert kinds(events) == ["input_audio_buffer.speech_started"]


def test_a_segment_that_came_to_no_words_ends_its_turn_without_any() -> None:
    dialect = openai()
    append(dialect)
    events = said(dialect, partial("hm", 900, 0.0), ev.Quiet(samples_of_ms(899)), ev.Quiet(samples_of_ms(900)))
    assert kinds(events)[:2] == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]
    assert transcripts(events) == [""]
    assert said(dialect, ev.Quiet(samples_of_ms(2000))) == []


def test_a_commit_ends_a_detected_turn_early() -> None:
    dialect = openai()
    append(dialect)
    started = said(dialect, partial("hi", 300))[0]
    heard = send(dialect, "input_audio_buffer.commit")
    assert answers(heard)[0]["item_id"] == started["item_id"]
    events = said(dialect, final("hi you", 500), flush_of(heard))
    assert kinds(events) == [f"{TRANSCRIPTION}.delta", f"{TRANSCRIPTION}.completed"]
    assert transcripts(events) == ["hi you"]


# --- turns that are committed -----------------------------------------------------------------------------------------


def undetected() -> OpenAI:
    dialect = openai()
    configure(dialect, turn_detection=None)
    append(dialect)
    return dialect


def test_without_detection_a_turn_goes_on_until_it_is_committed() -> None:
    dialect = undetected()
    events = said(dialect, partial("one", 300), final("one two", 400), ev.Quiet(8000), partial("three", 480))
    heard = send(dialect, "input_audio_buffer.commit", event_id="e-1")
    events += answers(heard) + said(dialect, final("three four", 500), flush_of(heard))
    assert kinds(events) == [
        *[f"{TRANSCRIPTION}.delta"] * 3,
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{TRANSCRIPTION}.delta",
        f"{TRANSCRIPTION}.completed",
    ]
    assert "".join(deltas(events)) == "one two three four"
    assert transcripts(events) == ["one two three four"]
    assert events[-1]["usage"]["seconds"] == 0.5


def test_finals_belong_to_the_commits_whose_answers_they_come_before() -> None:
    dialect = undetected()
    first = send(dialect, "input_audio_buffer.commit")
    append(dialect)
    second = send(dialect, "input_audio_buffer.commit")
    events = said(dialect, final("one", 400), flush_of(first), final("two", 700), final("three", 900), flush_of(second))
    assert transcripts(events) == ["one", "two three"]
    completed = [event["item_id"] for event in events if event["type"] == f"{TRANSCRIPTION}.completed"]
    assert completed == [answers(first)[0]["item_id"], answers(second)[0]["item_id"]]


def test_a_commit_in_which_nothing_was_heard_completes_without_a_word() -> None:
    dialect = undetected()
    assert transcripts(said(dialect, flush_of(send(dialect, "input_audio_buffer.commit")))) == [""]


def test_a_commit_of_nothing_is_an_error_of_theirs() -> None:
    dialect = openai()
    error = complaint(send(dialect, "input_audio_buffer.commit", event_id="e-1"))
    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "e-1")
    append(dialect)
    send(dialect, "input_audio_buffer.commit")
    assert complaint(send(dialect, "input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


@pytest.mark.parametrize("kind", ["input_audio_buffer.commit", "input_audio_buffer.clear"])
def test_commits_wait_in_a_bounded_queue(kind: str) -> None:
    dialect = undetected()
    for _ in range(MAX_FLUSHES):
        assert isinstance(send(dialect, kind)[0], ev.FlushAsked)
        append(dialect)
    assert complaint(send(dialect, kind))["code"] == "input_audio_buffer_full"


def test_what_is_cleared_is_not_transcribed() -> None:
    dialect = undetected()
    said(dialect, final("one", 300))
    heard = send(dialect, "input_audio_buffer.clear")
    assert kinds(answers(heard)) == ["input_audio_buffer.cleared"]
    append(dialect)
    after = send(dialect, "input_audio_buffer.commit")
    events = said(
        dialect, partial("two", 450), final("two", 500), flush_of(heard), final("three", 900), flush_of(after)
    )
    assert transcripts(events) == ["three"]
    assert deltas(events) == ["three"]


def test_clearing_nothing_is_answered() -> None:
    dialect = openai()
    [cleared] = send(dialect, "input_audio_buffer.clear")
    assert isinstance(cleared, Answer)


def test_all_that_was_heard_is_completed_when_the_session_ends() -> None:
    dialect = undetected()
    send(dialect, "input_audio_buffer.commit")
    events = said(dialect, final("one", 400))
    dialect.say(ev.Flushed(None))
    append(dialect)
    events = said(dialect, final("two", 800), ev.StoppedSaid(16_000))
    assert transcripts(events) == ["two"]
    dialect = undetected()
    send(dialect, "input_audio_buffer.commit")
    assert transcripts(said(dialect, final("one", 400), ev.StoppedSaid(8000))) == ["one"]


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "code", "param", "event_id"),
    [
        ("nonsense", "invalid_json", None, None),
        ("[]", "invalid_value", None, None),
        ("{}", "invalid_value", None, None),
        ('{"type":"response.create","event_id":"e-1"}', "invalid_value", "type", "e-1"),
        ('{"type":"input_audio_buffer.append","event_id":"e-1"}', "invalid_value", None, "e-1"),
        ('{"event_id":"e-1","type":"input_audio_buffer.append","audio":"?"}', "invalid_value", "audio", "e-1"),
        ('{"type":"input_audio_buffer.append","audio":"?",,', "invalid_value", "audio", None),
        (
            '{"type":"session.update","session":{"audio":{"input":{"format":{"type":"audio/mp3"}}}}}',
            "invalid_value",
            "session.audio.input.format.type",
            None,
        ),
        ('{"type":"session.update","session":{"type":"realtime"}}', "invalid_value", "session.type", None),
        ('{"type":"input_audio_buffer.commit","event_id":7}', "invalid_value", "event_id", None),
    ],
)
def test_an_event_that_is_not_understood_is_an_error_that_names_it(
    frame: str, code: str, param: str | None, event_id: str | None
) -> None:
    error = complaint(openai().hear(frame))
    assert (error["code"], error["param"], error["event_id"]) == (code, param, event_id)


@pytest.mark.parametrize("rate_hz", [-1, 0, 7_999, 48_001, 10**400])
def test_a_rate_that_no_audio_has_is_an_error_that_names_it_and_the_format_stays(rate_hz: int) -> None:
    dialect = openai()
    audio = {"input": {"format": {"type": "audio/pcm", "rate": rate_hz}}}
    error = complaint(send(dialect, "session.update", session={"type": "transcription", "audio": audio}))
    assert (error["code"], error["param"]) == ("invalid_value", "session.audio.input.format.rate")
    assert dialect.audio == AudioFormat(sample_rate_hz=24_000)


def test_an_error_of_the_service_is_told_as_one() -> None:
    [event] = said(openai(), ev.Failed(errors.EngineFailed()))
    assert (event["error"]["type"], event["error"]["code"]) == ("server_error", "engine_failed")


def test_nothing_is_said_of_what_the_protocol_does_not_know() -> None:
    assert said(openai(), ev.Listening(), ev.ShuttingDown(1), ev.Quiet(100)) == []


@given(st.text() | st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_no_frame_makes_it_raise(frame: str | bytes) -> None:
    openai().hear(frame)
