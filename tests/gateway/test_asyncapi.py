"""The AsyncAPI document: whole in itself, true of what is said and heard, and of every path that is served."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.routing import WebSocketRoute

from scribewire.core import events as ev
from scribewire.dialects.scriptix import ScriptixV1, ScriptixV2
from scribewire.errors import AtCapacity, BadMessage
from scribewire.gateway.app import build_app
from scribewire.gateway.asyncapi import document
from tests.gateway.rig import Rig

DOCUMENT = document("wss://scribe.test/v2/realtime")
WORDS = (ev.Word("hi", 0, 2880, 0.97), ev.Word("you", 3000, 8000, 0.5))
MESSAGES: list[ev.Spoken] = [
    ev.Listening(),
    ev.Partial("hi", 1600, 0.5),
    ev.Final(WORDS, 16_000),
    ev.Final(WORDS, 16_000, "Speaker 2"),
    ev.Flushed(None),
    ev.Flushed("a"),
    ev.Flushed(7),
    ev.ShuttingDown(1_900_000_000),
    ev.Failed(BadMessage()),
    ev.Failed(AtCapacity(retry_after_s=5)),
    ev.StoppedSaid(),
]


def validator(name: str) -> Draft202012Validator:
    payload = DOCUMENT["components"]["messages"][name]["payload"]
    return Draft202012Validator({**payload, "components": DOCUMENT["components"]})


def names(channel: str, action: str) -> list[str]:
    operation = DOCUMENT["operations"].get(f"{channel}.{action}", {"messages": []})
    return [one["$ref"].rpartition("/")[2] for one in operation["messages"]]


def matching(channel: str, action: str, message: Any) -> list[str]:
    return [name for name in names(channel, action) if name != "Audio" and validator(name).is_valid(message)]


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        return [text for key, value in part.items() for text in ([value] if key == "$ref" else references(value))]
    return [text for value in part for text in references(value)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        found: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


@pytest.mark.parametrize(("channel", "dialect"), [("realtime", ScriptixV2), ("legacy", ScriptixV1)])
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_a_session_says_is_one_documented_message(
    channel: str, dialect: type[ScriptixV2 | ScriptixV1], message: ev.Spoken
) -> None:
    said = json.loads(dialect("s1").encode(message))
    assert len(matching(channel, "send", said)) == 1, said


_OPTIONS = st.fixed_dictionaries(
    {"action": st.just("start")},
    optional={
        "key": st.none() | st.text(max_size=20),
        "partial": st.none() | st.booleans() | st.text(max_size=3),
        "actual_numbers": st.none() | st.booleans() | st.integers(0, 1),
        "vocabulary": st.none() | st.lists(st.sampled_from(["a", "b c", ""]), max_size=3),
    },
)
_FLUSHES = st.fixed_dictionaries(
    {"action": st.just("flush")},
    optional={"id": st.none() | st.text(max_size=5) | st.integers() | st.booleans() | st.just("x" * 257)},
)


@given(_OPTIONS | _FLUSHES | st.just({"action": "stop"}) | st.just({"action": "hum"}))
def test_what_is_documented_is_what_is_understood(message: dict[str, Any]) -> None:
    documented = bool(matching("realtime", "receive", message))
    understood = not isinstance(ScriptixV2("s1").decode(json.dumps(message)), ev.Misspoke)
    assert documented == understood


async def test_the_document_is_served_and_names_the_host_by_which_it_was_asked(rig: Rig) -> None:
    answer = await rig.call("GET", "/asyncapi.json", who=None)
    assert answer.json() == json.loads(msgspec.json.encode(document("ws://scribe.test/v2/realtime")))
    assert answer.json()["servers"]["this"]["host"] == "scribe.test"


async def test_every_socket_that_is_served_is_in_it(rig: Rig) -> None:
    served = {route.path for route in build_app(rig.services).routes if isinstance(route, WebSocketRoute)}
    documented = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert served == documented | DOCUMENT["x-other-paths"].keys()
