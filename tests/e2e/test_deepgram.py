"""The Deepgram dialect on a real service with real speech, by the vendor's own client library as it is."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soxr
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import (
    ListenV1ConfigureFailure,
    ListenV1Error,
    ListenV1Metadata,
    ListenV1Results,
    ListenV1SpeechStarted,
    ListenV1UtteranceEnd,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from scribewire.assets import sample_text
from service import Service
from tests.e2e.conftest import Clip
from tests.e2e.words import share_right
from tests.gateway.encoding import Int16, contained, opus_packets

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "src" / "scribewire" / "assets" / "sample.wav"
PCM: dict[str, Any] = {"encoding": "linear16", "sample_rate": "16000"}
WITHIN_S = 20.0

# The vendor's library uses names that another of its libraries will drop.
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def environment(service: Service) -> DeepgramClientEnvironment:
    return DeepgramClientEnvironment(
        base=service.url, production=service.socket_url, agent=service.socket_url, agent_rest=service.url
    )


@asynccontextmanager
async def streaming(service: Service, **options: Any) -> AsyncIterator[Any]:
    """Give a stream of the vendor's client."""
    client = AsyncDeepgramClient(api_key=service.key, environment=environment(service))
    async with client.listen.v1.connect(model="nova-3", **options) as stream:
        yield stream


async def read(stream: Any, *, until: Callable[[Any], bool | None] = lambda _: False) -> list[Any]:
    """Give what the client makes of the messages up to one, or to the end."""
    messages = []
    async with asyncio.timeout(WITHIN_S):
        async for message in stream:
            messages.append(message)
            if until(message):
                break
    return messages


async def hear(service: Service, chunks: Sequence[bytes], *, pace_s: float | None = None, **options: Any) -> list[Any]:
    """Send audio in chunks, end, and give all messages."""
    async with streaming(service, **options) as stream:
        reading = asyncio.create_task(read(stream))
        for chunk in chunks:
            await stream.send_media(chunk)
            if pace_s:
                await asyncio.sleep(pace_s)
        await stream.send_close_stream()
        return await reading


def cut(audio: bytes, size: int = 3_200) -> list[bytes]:
    return [audio[at : at + size] for at in range(0, len(audio), size)]


def results(messages: Sequence[Any], *, final: bool = True) -> list[ListenV1Results]:
    return [m for m in messages if isinstance(m, ListenV1Results) and m.is_final is final]


def text_of(messages: Sequence[Any]) -> str:
    return " ".join(result.channel.alternatives[0].transcript for result in results(messages))


# --- speech -----------------------------------------------------------------------------------------------------------


async def test_speech_becomes_results_with_timed_words_and_then_metadata(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips["rms-train"]
    messages = await hear(service, cut(clip.pcm), **PCM, language="en-US")
    assert share_right(clip.text, text_of(messages)) >= 0.8
    *_, metadata = messages
    assert isinstance(metadata, ListenV1Metadata)
    assert metadata.duration == pytest.approx(len(clip.pcm) / 32_000, abs=0.01)
    words = [word for result in results(messages) for word in result.channel.alternatives[0].words]
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= metadata.duration
    assert len({word.confidence for word in words}) > 1
    assert {result.metadata.request_id for result in results(messages)} == {metadata.request_id}
    assert not results(messages, final=False)


async def test_interim_results_speech_started_and_utterance_end_come_where_asked_for(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips["rms-train"]
    audio = clip.pcm + bytes(32_000 * 3)
    messages = await hear(
        service, cut(audio), pace_s=0.05, **PCM, interim_results="true", vad_events="true", utterance_end_ms="1000"
    )
    kinds = [type(message) for message in messages]
    assert len(results(messages, final=False)) >= 3
    assert kinds.index(ListenV1SpeechStarted) < kinds.index(ListenV1Results)
    ends = [message for message in messages if isinstance(message, ListenV1UtteranceEnd)]
    assert ends[-1].last_word_end == results(messages)[-1].channel.alternatives[0].words[-1].end
    starts = [result.start for result in results(messages)]
    assert starts == [0.0, *[round(r.start + r.duration, 3) for r in results(messages)[:-1]]]


async def test_finalize_gives_what_was_sent_and_the_stream_goes_on(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips["rms-train"]
    async with streaming(service, **PCM) as stream:
        for _ in range(2):
            for chunk in cut(clip.pcm):
                await stream.send_media(chunk)
            await stream.send_finalize()
            await stream.send_keep_alive()
            messages = await read(stream, until=lambda m: isinstance(m, ListenV1Results) and bool(m.from_finalize))
            assert share_right(clip.text, text_of(messages)) >= 0.7
        await stream.send_close_stream()
        assert isinstance((await read(stream))[-1], ListenV1Metadata)


async def test_numerals_are_digits(service: Service, clips: dict[str, Clip]) -> None:
    messages = await hear(service, cut(clips["awb-price"].pcm), **PCM, numerals="true")
    assert "300 to 450" in text_of(messages)


def test_the_blocking_client_does_as_well(service: Service, clips: dict[str, Clip]) -> None:
    clip = clips["rms-train"]
    client = DeepgramClient(api_key=service.key, environment=environment(service))
    with client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16_000) as stream:
        for chunk in cut(clip.pcm):
            stream.send_media(chunk)
        stream.send_close_stream()
        messages = list(stream)
    assert share_right(clip.text, text_of(messages)) >= 0.8


# --- formats ----------------------------------------------------------------------------------------------------------


def _resampled(clip: Clip, rate_hz: int) -> Int16:
    samples: Int16 = soxr.resample(np.frombuffer(clip.pcm, "<i2"), 16_000, rate_hz)
    return samples


def _as_mulaw(clip: Clip) -> list[bytes]:
    encoder = av.Codec("pcm_mulaw", "w").create("audio")
    encoder.sample_rate, encoder.format, encoder.layout = 8_000, "s16", "mono"
    samples = _resampled(clip, 8_000)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 8_000
    return cut(b"".join(map(bytes, [*encoder.encode(frame), *encoder.encode(None)])), 800)


FORMATS: dict[str, tuple[dict[str, Any], Callable[[Clip], Sequence[bytes]]]] = {
    "linear16 48k": (
        {"encoding": "linear16", "sample_rate": "48000"},
        lambda clip: cut(_resampled(clip, 48_000).tobytes(), 9_600),
    ),
    "mulaw 8k": ({"encoding": "mulaw", "sample_rate": "8000"}, _as_mulaw),
    "opus packets": (
        {"encoding": "opus", "sample_rate": "48000"},
        lambda clip: list(opus_packets(_resampled(clip, 48_000))),
    ),
    "flac": (
        {"encoding": "flac", "sample_rate": "16000"},
        lambda clip: cut(contained(_resampled(clip, 16_000), rate_hz=16_000, container="flac", codec="flac")),
    ),
    "webm": (
        {},
        lambda clip: cut(contained(_resampled(clip, 48_000), rate_hz=48_000, container="webm", codec="libopus")),
    ),
}


@pytest.mark.parametrize("name", FORMATS)
async def test_speech_is_understood_in_every_format(service: Service, clips: dict[str, Clip], name: str) -> None:
    query, make = FORMATS[name]
    clip = clips["rms-train"]
    messages = await hear(service, make(clip), **query)
    assert share_right(clip.text, text_of(messages)) >= 0.8
    assert messages[-1].duration == pytest.approx(len(clip.pcm) / 32_000, abs=0.1)


# --- channels ---------------------------------------------------------------------------------------------------------


def _beside(left: Clip, right: Clip, rate_hz: int) -> Int16:
    """Give two clips as the two channels of one sound, the shorter followed by silence."""
    both = [_resampled(clip, rate_hz) for clip in (left, right)]
    length = max(map(len, both))
    return np.stack([np.pad(one, (0, length - len(one))) for one in both], axis=1)


def _of_channel(messages: Sequence[Any], number: int) -> list[ListenV1Results]:
    return [message for message in results(messages) if message.channel_index == [number, 2]]


STEREO: dict[str, tuple[dict[str, Any], Callable[[Int16], bytes]]] = {
    "linear16 16k": ({**PCM, "channels": "2"}, lambda samples: soxr.resample(samples, 48_000, 16_000).tobytes()),
    "webm": ({}, lambda samples: contained(samples, rate_hz=48_000, container="webm", codec="libopus")),
}


@pytest.mark.parametrize("name", STEREO)
async def test_each_channel_has_a_transcript_of_its_own(service: Service, clips: dict[str, Clip], name: str) -> None:
    query, make = STEREO[name]
    left, right = clips["rms-train"], clips["awb-weather"]
    audio = make(_beside(left, right, 48_000))
    messages = await hear(service, cut(audio, 6_400), **query, multichannel="true", interim_results="true")
    for number, clip in enumerate((left, right)):
        assert share_right(clip.text, text_of(_of_channel(messages, number))) >= 0.8
    *rest, metadata = messages
    assert isinstance(metadata, ListenV1Metadata)
    assert metadata.channels == 2
    assert metadata.duration == pytest.approx(max(len(left.pcm), len(right.pcm)) / 32_000, abs=0.1)
    assert {tuple(message.channel_index) for message in rest} == {(0, 2), (1, 2)}


async def test_a_finalize_is_answered_by_each_channel(service: Service, clips: dict[str, Clip]) -> None:
    audio = _beside(clips["rms-train"], clips["awb-weather"], 16_000).tobytes()
    async with streaming(service, **PCM, channels="2", multichannel="true") as stream:
        for chunk in cut(audio, 6_400):
            await stream.send_media(chunk)
        await stream.send_finalize()
        answered: set[int] = set()
        while answered != {0, 1}:
            *_, answer = await read(stream, until=lambda m: isinstance(m, ListenV1Results) and bool(m.from_finalize))
            answered.add(int(answer.channel_index[0]))
        await stream.send_close_stream()
        assert isinstance((await read(stream))[-1], ListenV1Metadata)


async def test_a_key_of_one_stream_has_no_two_channels(service: Service) -> None:
    made = service.call("POST", "/api/v4/keys", json={"name": "one", "scopes": ["realtime"], "max_sessions": 1}).json()
    client = AsyncDeepgramClient(api_key=made["key"], environment=environment(service))
    messages: list[Any] = []
    async with client.listen.v1.connect(model="nova-3", **PCM, channels="2", multichannel="true") as stream:
        with pytest.raises(ConnectionClosedError) as caught:
            await read(stream, until=messages.append)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1013
    [error] = messages
    assert isinstance(error, ListenV1Error)
    assert error.code == "session_limit"
    async with client.listen.v1.connect(model="nova-3", **PCM) as stream:
        await stream.send_close_stream()
        assert isinstance((await read(stream))[-1], ListenV1Metadata)


# --- credentials and refusals -----------------------------------------------------------------------------------------


async def test_a_wrong_key_is_refused(service: Service) -> None:
    client = AsyncDeepgramClient(api_key="wrong", environment=environment(service))
    with pytest.raises(ApiError) as caught:
        async with client.listen.v1.connect(model="nova-3", **PCM):
            pass
    assert caught.value.status_code == 401


async def test_a_bearer_token_is_taken(service: Service) -> None:
    client = AsyncDeepgramClient(access_token=service.key, environment=environment(service))
    async with client.listen.v1.connect(model="nova-3", **PCM) as stream:
        await stream.send_close_stream()
        assert isinstance((await read(stream))[-1], ListenV1Metadata)


async def test_a_browser_gives_its_key_as_a_subprotocol(service: Service) -> None:
    url = service.socket_url + "/v1/listen?encoding=linear16&sample_rate=16000"
    async with connect(url, subprotocols=[Subprotocol("token"), Subprotocol(service.key)]) as socket:
        assert socket.subprotocol == "token"
        await socket.send(b"")
        assert json.loads(await socket.recv())["type"] == "Metadata"


@pytest.mark.parametrize(
    ("query", "key", "status", "code"),
    [
        ("encoding=linear16", True, 400, "Bad Request"),
        ("encoding=g729&sample_rate=8000", True, 400, "Bad Request"),
        ("redact=pci", True, 400, "Bad Request"),
        ("", False, 401, "INVALID_AUTH"),
    ],
)
async def test_an_upgrade_is_refused_in_the_vendors_words(
    service: Service, query: str, key: bool, status: int, code: str
) -> None:
    headers = {"Authorization": f"Token {service.key}"} if key else {}
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"{service.socket_url}/v1/listen?{query}", additional_headers=headers):
            pass
    answer = caught.value.response
    body = json.loads(answer.body)
    assert (answer.status_code, body["err_code"]) == (status, code)
    assert answer.headers["dg-request-id"] == body["request_id"]


async def test_what_cannot_be_understood_is_told_and_the_stream_goes_on(service: Service) -> None:
    async with streaming(service, **PCM) as stream:
        for text in ("no JSON", '{"type":"Sing"}', "[]"):
            await stream._send(text)
        errors = await read(stream, until=lambda m: getattr(m, "message", None) == "[]")
        assert {type(error) for error in errors} == {ListenV1Error}
        assert {error.variant for error in errors} == {"SchemaError"}
        await stream._send('{"type":"Configure","keyterms":["Oslo"]}')
        assert isinstance((await read(stream, until=lambda _: True))[0], ListenV1ConfigureFailure)
        await stream.send_close_stream()
        assert isinstance((await read(stream))[-1], ListenV1Metadata)


async def test_what_is_no_audio_is_told_and_closes(service: Service) -> None:
    async with streaming(service) as stream:
        await stream.send_media(b"no audio at all, whatever one may think of it")
        with pytest.raises(ConnectionClosedError) as caught:
            await read(stream)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008


# --- the examples -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("deepgram_stream", "deepgram"),
        ("livekit_deepgram", "livekit.plugins.deepgram"),
        ("pipecat_deepgram", "pipecat.services.deepgram"),
    ],
)
def test_an_example_runs(service: Service, name: str, library: str) -> None:
    if not _installed(library):
        pytest.skip(f"{library} is not installed")
    run = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "examples" / f"{name}.py"), str(SAMPLE)],
        env=os.environ | {"SCRIBEWIRE_URL": service.url, "SCRIBEWIRE_KEY": service.key},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert share_right(sample_text(), " ".join(run.stdout.split())) >= 0.8


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
