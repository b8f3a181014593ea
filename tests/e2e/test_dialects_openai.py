"""The OpenAI dialect on a real service: the vendor's own package, unmodified but for its base URL."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import (
    ConversationItemAdded,
    ConversationItemInputAudioTranscriptionCompletedEvent,
    ConversationItemInputAudioTranscriptionDeltaEvent,
    InputAudioBufferCommittedEvent,
    InputAudioBufferSpeechStartedEvent,
    InputAudioBufferSpeechStoppedEvent,
    RealtimeErrorEvent,
    SessionCreatedEvent,
    SessionUpdatedEvent,
)
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from scribewire.assets import sample_text
from service import Service
from tests.e2e.conftest import Clip
from tests.e2e.resampling import as_g711, at_rate
from tests.e2e.words import share_right

pytestmark = pytest.mark.e2e

CLIP = "rms-train"
ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "src" / "scribewire" / "assets" / "sample.wav"
RATE_HZ = 24_000
CHUNK_BYTES = RATE_HZ * 2 // 10
WAIT_S = 30.0


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[AsyncOpenAI]:
    url = f"{service.url}/v1"
    socket_url = f"{service.socket_url}/v1"
    async with AsyncOpenAI(api_key=service.key, base_url=url, websocket_base_url=socket_url) as client:
        yield client


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[AsyncRealtimeConnection]:
    async with (
        client_of(service) as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        yield connection


async def configure(connection: AsyncRealtimeConnection, **audio_input: Any) -> None:
    """Update the session and read up to the answer."""
    given: Any = {"type": "transcription", "audio": {"input": audio_input}}
    await connection.session.update(session=given)
    async with asyncio.timeout(WAIT_S):
        while not isinstance(await connection.recv(), SessionUpdatedEvent):
            pass


async def speak(connection: AsyncRealtimeConnection, audio: bytes, *, pace_s: float = 0.0) -> None:
    for at in range(0, len(audio), CHUNK_BYTES):
        await asyncio.sleep(pace_s)
        chunk = base64.b64encode(audio[at : at + CHUNK_BYTES]).decode()
        await connection.input_audio_buffer.append(audio=chunk)


async def heard_until_completed(connection: AsyncRealtimeConnection, turns: int = 1) -> list[Any]:
    """Read until so many turns are completed."""
    events: list[Any] = []
    async with asyncio.timeout(WAIT_S):
        while turns:
            events.append(await connection.recv())
            turns -= isinstance(events[-1], ConversationItemInputAudioTranscriptionCompletedEvent)
    return events


def of_kind(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def transcript_of(events: list[Any]) -> str:
    completed = of_kind(events, ConversationItemInputAudioTranscriptionCompletedEvent)
    return " ".join(event.transcript for event in completed)


# --- turns ------------------------------------------------------------------------------------------------------------


async def test_a_turn_that_is_committed_is_transcribed(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips[CLIP]
    async with connected(service) as connection:
        assert isinstance(await connection.recv(), SessionCreatedEvent)
        await configure(connection, turn_detection=None, transcription={"model": "gpt-4o-transcribe", "language": "en"})
        await speak(connection, at_rate(clip.pcm, RATE_HZ))
        await connection.input_audio_buffer.commit()
        events = await heard_until_completed(connection)
    assert share_right(clip.text, transcript_of(events)) >= 0.9
    [committed] = of_kind(events, InputAudioBufferCommittedEvent)
    assert events[-1].item_id == committed.item_id
    assert events[-1].usage.seconds == pytest.approx(len(clip.pcm) / 32_000, abs=0.05)
    assert not of_kind(events, InputAudioBufferSpeechStartedEvent)


async def test_turns_are_detected_and_their_text_only_grows(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips["rms-pauses"]
    async with connected(service) as connection:
        await configure(connection, format={"type": "audio/pcm", "rate": 24_000}, turn_detection={"type": "server_vad"})
        speaking = asyncio.create_task(speak(connection, at_rate(clip.pcm + bytes(64_000), RATE_HZ), pace_s=0.05))
        events = await heard_until_completed(connection, turns=2)
        await speaking
    started = of_kind(events, InputAudioBufferSpeechStartedEvent)
    stopped = of_kind(events, InputAudioBufferSpeechStoppedEvent)
    added = of_kind(events, ConversationItemAdded)
    completed = of_kind(events, ConversationItemInputAudioTranscriptionCompletedEvent)
    ids = [event.item_id for event in completed]
    assert [event.item_id for event in started[:2]] == [event.item_id for event in stopped] == ids
    assert [event.item.id for event in added] == ids
    times = [
        ms for start, stop in zip(started, stopped, strict=False) for ms in (start.audio_start_ms, stop.audio_end_ms)
    ]
    assert times == sorted(times)
    deltas = of_kind(events, ConversationItemInputAudioTranscriptionDeltaEvent)
    assert len(deltas) >= 4
    assert "".join(delta.delta for delta in deltas if delta.item_id == ids[0]).split()[0] in clip.text.split()


@pytest.mark.parametrize(("kind", "codec"), [("audio/pcmu", "pcm_mulaw"), ("audio/pcma", "pcm_alaw")])
async def test_telephony_audio_is_transcribed(service: Service, clips: dict[str, Clip], kind: str, codec: str) -> None:
    clip = clips[CLIP]
    async with connected(service) as connection:
        await configure(connection, format={"type": kind}, turn_detection=None)
        await speak(connection, as_g711(clip.pcm, codec))
        await connection.input_audio_buffer.commit()
        events = await heard_until_completed(connection)
    # Half the bandwidth costs the embedded recogniser a word or two.
    assert share_right(clip.text, transcript_of(events)) >= 0.6


async def test_what_is_cleared_is_not_transcribed(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips[CLIP]
    async with connected(service) as connection:
        await configure(connection, turn_detection=None)
        await speak(connection, at_rate(clips["awb-weather"].pcm, RATE_HZ))
        await connection.input_audio_buffer.clear()
        await speak(connection, at_rate(clip.pcm, RATE_HZ))
        await connection.input_audio_buffer.commit()
        events = await heard_until_completed(connection)
    assert share_right(clip.text, transcript_of(events)) >= 0.8
    assert "input_audio_buffer.cleared" in [event.type for event in events]


async def test_the_beta_module_transcribes_too(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips[CLIP]
    async with (
        client_of(service) as client,
        client.beta.realtime.connect(model="whisper-1", extra_query={"intent": "transcription"}) as connection,
    ):
        update: Any = {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": "whisper-1", "language": "en", "prompt": ""},
            "turn_detection": None,
        }
        await connection.transcription_session.update(session=update)
        audio = at_rate(clip.pcm, RATE_HZ)
        for at in range(0, len(audio), CHUNK_BYTES):
            chunk = base64.b64encode(audio[at : at + CHUNK_BYTES]).decode()
            await connection.input_audio_buffer.append(audio=chunk)
        await connection.input_audio_buffer.commit()
        events: list[Any] = []
        async with asyncio.timeout(WAIT_S):
            while not events or events[-1].type != "conversation.item.input_audio_transcription.completed":
                events.append(await connection.recv())
    kinds = [event.type for event in events]
    assert "transcription_session.updated" in kinds
    assert "conversation.item.created" in kinds
    assert share_right(clip.text, events[-1].transcript) >= 0.9


# --- the examples -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("openai_stream", "openai"),
        ("livekit_openai", "livekit.plugins.openai"),
        ("pipecat_openai", "pipecat.services.openai.stt"),
    ],
)
async def test_an_example_runs(service: Service, name: str, library: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    example = await asyncio.create_subprocess_exec(
        *(sys.executable, ROOT / "docs" / "examples" / f"{name}.py", SAMPLE),
        env={**os.environ, "SCRIBEWIRE_URL": service.url, "SCRIBEWIRE_KEY": service.key},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(example.communicate(), 60)
    assert share_right(sample_text(), " ".join(printed.decode().split())) >= 0.9


# --- who may come in, and what goes wrong -----------------------------------------------------------------------------


async def test_a_bad_key_is_refused_at_the_upgrade_with_their_error(service: Service) -> None:
    async with AsyncOpenAI(api_key="sw_wrong", base_url=f"{service.url}/v1") as client:
        with pytest.raises(InvalidStatus) as refusal:
            await client.realtime.connect(extra_query={"intent": "transcription"}).enter()
    assert refusal.value.response.status_code == 401
    assert json.loads(refusal.value.response.body or b"")["error"]["message"] == "Not authenticated"


async def test_a_browser_shows_its_key_among_the_subprotocols(service: Service) -> None:
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{service.key}")]
    url = f"{service.socket_url}/v1/realtime?intent=transcription"
    async with connect(url, subprotocols=offered, origin="https://example.org") as wire:  # type: ignore[arg-type]
        assert wire.subprotocol == "realtime"
        assert json.loads(await wire.recv())["type"] == "session.created"


async def test_malformed_events_are_answered_by_error_events_and_the_session_goes_on(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips[CLIP]
    async with connected(service) as connection:
        await configure(connection, turn_detection=None)
        await connection.input_audio_buffer.commit(event_id="e-1")
        malformed: Any = {"type": "response.create", "event_id": "e-2"}
        await connection.send(malformed)
        await connection.input_audio_buffer.append(audio="?", event_id="e-3")
        errors: list[Any] = []
        async with asyncio.timeout(WAIT_S):
            while len(errors) < 3:
                errors.append(await connection.recv())
        await speak(connection, at_rate(clip.pcm, RATE_HZ))
        await connection.input_audio_buffer.commit()
        events = await heard_until_completed(connection)
    assert {type(error) for error in errors} == {RealtimeErrorEvent}
    assert [error.error.event_id for error in errors] == ["e-1", "e-2", "e-3"]
    assert share_right(clip.text, transcript_of(events)) >= 0.9


async def test_an_unknown_language_is_an_error_of_theirs_and_the_end(service: Service) -> None:
    async with connected(service) as connection:
        await configure(connection, transcription={"language": "xx"})
        await speak(connection, bytes(CHUNK_BYTES))
        event = await asyncio.wait_for(connection.recv(), WAIT_S)
    assert isinstance(event, RealtimeErrorEvent)
    assert (event.error.type, event.error.code) == ("invalid_request_error", "unknown_language")
