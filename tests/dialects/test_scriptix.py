"""The Scriptix dialects, byte for byte, and what they make of anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire import errors
from scribewire.core import events as ev
from scribewire.core.audio import samples_of_ms
from scribewire.dialects.base import Request
from scribewire.dialects.scriptix import Scriptix, ScriptixV1, ScriptixV2
from scribewire.dialects.table import DIALECTS, PATHS

V1 = ScriptixV1("s-1")
V2 = ScriptixV2("s-1")
BOTH = pytest.mark.parametrize("dialect", [V1, V2], ids=["v1", "v2"])
WORDS = (
    ev.Word("hi", 0, samples_of_ms(180), 0.97),
    ev.Word("how", samples_of_ms(190), samples_of_ms(300), 0.95),
)
PARTIAL = ev.Partial("hi how are", samples_of_ms(1234), 0.8)
FINAL = ev.Final(WORDS, samples_of_ms(2500), "Speaker 1")
NAMELESS = ev.Final(WORDS, samples_of_ms(2500))


# --- what is sent -----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("message", "text"),
    [
        (ev.Listening(), '{"state":"listening","session_id":"s-1"}'),
        (ev.StoppedSaid(), '{"state":"stopped"}'),
        (ev.ShuttingDown(1_700_000_000), '{"state":"shutting_down","at":1700000000}'),
        (ev.Flushed("a"), '{"flushed":"a"}'),
        (ev.Flushed(7), '{"flushed":7}'),
        (ev.Flushed(None), '{"flushed":null}'),
        (ev.Failed(errors.BadMessage("What?")), '{"error":"What?","code":"bad_message"}'),
        (
            ev.Failed(errors.ScaledDown()),
            '{"error":"Realtime service is scaled down. Call /initialize to start it.","code":"scaled_down"}',
        ),
        (
            ev.Failed(errors.AtCapacity("Busy.", retry_after_s=5)),
            '{"error":"Busy.","code":"at_capacity","retry_after":5}',
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_all_but_results_is_spelled_alike(dialect: Scriptix, message: ev.Spoken, text: str) -> None:
    assert dialect.encode(message) == text


@pytest.mark.parametrize(
    ("dialect", "message", "text"),
    [
        (V2, PARTIAL, '{"text":"hi how are","is_final":false,"offset_ms":1234,"stability":0.8}'),
        (
            V2,
            FINAL,
            (
                '{"text":"hi how","is_final":true,"offset_ms":2500,"words":[["hi",0,180,0.97],["how",190,300,0.95]],'
                '"speaker":"Speaker 1"}'
            ),
        ),
        (
            V2,
            NAMELESS,
            '{"text":"hi how","is_final":true,"offset_ms":2500,"words":[["hi",0,180,0.97],["how",190,300,0.95]]}',
        ),
        (V1, PARTIAL, '{"partial":"hi how are"}'),
        (
            V1,
            FINAL,
            '{"result":[["hi",0,180,0.97],["how",190,300,0.95]],"speaker":"Speaker 1","text":"hi how"}',
        ),
        (
            V1,
            NAMELESS,
            '{"result":[["hi",0,180,0.97],["how",190,300,0.95]],"speaker":"Speaker 1","text":"hi how"}',
        ),
    ],
)
def test_results_are_spelled_as_each_dialect_does(dialect: Scriptix, message: ev.Spoken, text: str) -> None:
    assert dialect.encode(message) == text


def test_text_beyond_ascii_is_sent_as_it_is() -> None:
    assert V1.encode(ev.Partial('é "中" \n 😀', 0, 0.0)) == '{"partial":"é \\"中\\" \\n 😀"}'


def test_times_are_rounded_down_and_figures_to_what_they_are_worth() -> None:
    words = (ev.Word("a", 15, 31, 0.123456),)
    assert V2.encode(ev.Final(words, 47)) == '{"text":"a","is_final":true,"offset_ms":2,"words":[["a",0,1,0.123]]}'
    assert V2.encode(ev.Partial("a", 47, 0.456)) == '{"text":"a","is_final":false,"offset_ms":2,"stability":0.46}'


@pytest.mark.parametrize("leaf", [leaf for leaf in errors.leaves() if leaf.__init__ is errors.ScribewireError.__init__])
def test_every_error_has_a_sentence_and_a_code(leaf: type[errors.ScribewireError]) -> None:
    assert json.loads(V2.encode(ev.Failed(leaf()))) == {"error": leaf.sentence, "code": leaf.code}


# --- what is read -----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("text", "event"),
    [
        ('{"action":"start"}', ev.Started()),
        ('\t{ "action" : "start" , "sample_rate": 16000, "more": {"a": [null]} }\n', ev.Started()),
        ('{"\\u0061ction":"st\\u0061rt"}', ev.Started()),
        (
            '{"actual_numbers":true,"partial":false,"key":"k","action":"start"}',
            ev.Started(ev.StartOptions(key="k", partial=False, actual_numbers=True)),
        ),
        ('{"action":"start","key":null,"partial":null,"actual_numbers":null}', ev.Started()),
        ('{"action":"start","key":""}', ev.Started()),
        (
            '{"action":"start","vocabulary":[" Scribe  wire","alfa","alfa"]}',
            ev.Started(ev.StartOptions(vocabulary=("Scribe wire", "alfa"))),
        ),
        ('{"action":"start","vocabulary":[]}', ev.Started()),
        ('{"action":"stop"}', ev.Stopped()),
        ('{"action":"stop","key":7}', ev.Stopped()),
        ('{"action":"start","action":"stop"}', ev.Stopped()),
        ('{"action":"flush","id":"a"}', ev.FlushAsked("a")),
        ('{"action":"flush","id":-7}', ev.FlushAsked(-7)),
        ('{"action":"flush"}', ev.FlushAsked(None)),
        ('{"action":"flush","id":null}', ev.FlushAsked(None)),
        ('{"action":"flush","id":"' + "x" * 256 + '"}', ev.FlushAsked("x" * 256)),
        ('{"action":"flush","id":' + "9" * 30 + "}", ev.FlushAsked(int("9" * 30))),
    ],
)
def test_messages_are_read_liberally(dialect: Scriptix, text: str, event: ev.Event) -> None:
    assert dialect.decode(text) == event


@BOTH
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not JSON"),
        ("start", "not JSON"),
        ("{'action':'start'}", "not JSON"),
        ('{"action":"start"', "not JSON"),
        ('{"action":"start"} {}', "not JSON"),
        ('{"action":"flush","id":NaN}', "not JSON"),
        ('{"action":"flush","id":"\ud800"}', "not JSON"),
        ('{"action":"flush","id":"\\ud800"}', "not JSON"),
        ('{"action":"flush","id":' + "9" * 5_000 + "}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a":' * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('"start"', "not a JSON object"),
        ("null", "not a JSON object"),
        ("1", "not a JSON object"),
        ("{}", "no action"),
        ('{"action":null}', "no action"),
        ('{"Action":"start"}', "no action"),
        ('{"action":"START"}', "not known"),
        ('{"action":""}', "not known"),
        ('{"action":1}', "not known"),
        ('{"action":["start"]}', "not known"),
        ('{"action":{"start":true}}', "not known"),
        ('{"action":"start","key":7}', "key"),
        ('{"action":"start","partial":"false"}', "partial"),
        ('{"action":"start","partial":0}', "partial"),
        ('{"action":"start","actual_numbers":1}', "actual_numbers"),
        ('{"action":"start","vocabulary":"alfa"}', "vocabulary"),
        ('{"action":"start","vocabulary":["alfa",1]}', "vocabulary"),
        ('{"action":"start","vocabulary":[" "]}', "vocabulary"),
        ('{"action":"start","vocabulary":[' + '"a",' * 200 + '"b"]}', "more than 200"),
        ('{"action":"start","vocabulary":["' + "a" * 65 + '"]}', "more than 64"),
        ('{"action":"flush","id":true}', "id"),
        ('{"action":"flush","id":1.5}', "id"),
        ('{"action":"flush","id":["a"]}', "id"),
        ('{"action":"flush","id":"' + "x" * 257 + '"}', "longer than 256"),
        ('{"action":"flush","id":' + "9" * 257 + "}", "longer than 256"),
    ],
    ids=lambda value: value[:40].encode("ascii", "replace").decode(),
)
def test_what_cannot_be_understood_is_told_to_its_author(dialect: Scriptix, text: str, sentence: str) -> None:
    event = dialect.decode(text)
    assert isinstance(event, ev.Misspoke)
    assert sentence in event.sentence


def test_a_complaint_never_repeats_what_was_sent() -> None:
    for text in ('{"action":"start","key":["secret"]}', '{"action":"secret"}', "secret"):
        event = V2.decode(text)
        assert isinstance(event, ev.Misspoke)
        assert "secret" not in event.sentence


# --- anything ---------------------------------------------------------------------------------------------------------

_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
_actions = st.sampled_from(["start", "stop", "flush"])
_fields = {"key": _json, "partial": _json, "actual_numbers": _json, "id": _json}
_messages = st.fixed_dictionaries({"action": st.one_of(_actions, _actions, _json)}, optional=_fields)
_texts = st.text(st.characters(exclude_categories=["Cs"]))  # what UTF-8 can carry, as every text of a link can
_samples = st.integers(0, 2**62)
_shares = st.floats(0, 1)
_words = st.lists(st.builds(ev.Word, _texts, _samples, _samples, _shares), max_size=4).map(tuple)
_said = st.one_of(
    st.builds(ev.Partial, _texts, _samples, _shares),
    st.builds(ev.Final, _words, _samples, st.none() | _texts),
    st.builds(ev.Flushed, st.none() | _texts | st.integers()),
    st.builds(ev.ShuttingDown, st.integers(0, 2**40)),
    st.builds(lambda sentence: ev.Failed(errors.BadMessage(sentence)), _texts),
    st.sampled_from([ev.Listening(), ev.StoppedSaid()]),
)


@settings(max_examples=60)
@given(st.one_of(st.text(st.characters()), _json.map(json.dumps), _messages.map(json.dumps)))
def test_decoding_never_raises(text: str) -> None:
    event = V2.decode(text)
    assert isinstance(event, ev.Started | ev.Stopped | ev.FlushAsked | ev.Misspoke)
    assert event == V1.decode(text)
    if isinstance(event, ev.FlushAsked):
        assert json.loads(V2.encode(ev.Flushed(event.id))) == {"flushed": event.id}


@settings(max_examples=60)
@given(_said)
def test_encoding_always_gives_compact_json(message: ev.Spoken) -> None:
    for dialect in (V1, V2):
        text = dialect.encode(message)
        spelled = json.loads(text)
        assert isinstance(spelled, dict)
        assert len(text) <= len(json.dumps(spelled, ensure_ascii=False, separators=(",", ":")))


# --- the table --------------------------------------------------------------------------------------------------------


def test_each_path_speaks_its_dialect() -> None:
    spoken = {row.path: DIALECTS[row.dialect] for row in PATHS}
    assert spoken.items() >= {"/v2/realtime": ScriptixV2, "/realtime": ScriptixV1}.items()


@BOTH
def test_binary_frames_are_audio_and_the_query_names_language_and_type(dialect: Scriptix) -> None:
    assert dialect.hear(b"\1\2") == (ev.AudioReceived(b"\1\2"),)
    assert dialect.hear('{"action":"stop"}') == (ev.Stopped(),)
    assert dialect.say(ev.StoppedSaid()) == ('{"state":"stopped"}',)
    assert (dialect.language, dialect.type, dialect.begin()) == (None, None, ())
    asked = type(dialect)("s-1", Request(query={"language": "de", "type": "quality"}))
    assert (asked.language, asked.type) == ("de", "quality")
    assert (dialect.identify(Request()).credential, dialect.close_code(1008)) == (None, 1008)
