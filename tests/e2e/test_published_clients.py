"""The published clients and their test harness, written from the contract's description of what they do to the byte."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from service import Service
from tests.e2e.conftest import Clip
from tests.e2e.words import share_right
from wire import Talk, transcribe

pytestmark = pytest.mark.e2e


def as_wav(pcm: bytes) -> bytes:
    """Put a WAV header before samples, as an encoder that writes to a pipe does: its sizes are not known."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16_000)
        wav.writeframes(pcm)
    header, samples = file.getvalue()[:44], file.getvalue()[44:]
    return header[:4] + b"\xff\xff\xff\xff" + header[8:40] + b"\xff\xff\xff\xff" + samples


async def open_like_them(service: Service, path: str) -> ClientConnection:
    """Connect, send start, read exactly one message and give up unless it contains "listening"."""
    wire = await connect(service.socket_url + path, additional_headers={"x-zoom-s2t-key": service.key})
    await wire.send('{"action": "start"}')
    first = await asyncio.wait_for(wire.recv(), 10)
    assert isinstance(first, str)
    assert '"listening"' in first
    return wire


async def read_until_stopped(wire: ClientConnection, *, exactly: bool) -> list[str]:
    """Read until the message that ends the client: one that contains, or one that equals, `stopped`."""
    heard = []
    async with asyncio.timeout(10):
        async for text in wire:
            assert isinstance(text, str)
            heard.append(text)
            if exactly and text in ('{"state":"stopped"}', '{"state": "stopped"}'):
                break
            if not exactly and '"state":"stopped"' in text:
                break
    await wire.wait_closed()
    assert wire.close_code == 1000
    return heard


async def test_a_client_that_pipes_wav_in_small_frames_reads_v2_results(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips["rms-train"]
    wire = await open_like_them(service, "/v2/realtime")
    reading = asyncio.create_task(read_until_stopped(wire, exactly=False))
    wav = as_wav(clip.pcm)
    for at in range(0, len(wav), 1024):
        await wire.send(wav[at : at + 1024])
    await wire.send('{"action": "stop"}')
    heard = await reading
    assert share_right(clip.text, v2_finals(heard)) >= 0.9


async def test_a_client_that_sends_large_frames_at_four_times_real_time_reads_v1_results(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips["rms-doctor"]
    wire = await open_like_them(service, "/realtime")
    reading = asyncio.create_task(read_until_stopped(wire, exactly=True))
    wav = as_wav(clip.pcm)
    for at in range(0, len(wav), 32_768):
        await wire.send(wav[at : at + 32_768])
        await asyncio.sleep(0.25)
    await wire.send('{"action": "stop"}')
    results = [message for message in map(load, await reading) if "result" in message]
    assert share_right(clip.text, " ".join(result["text"] for result in results)) >= 0.9
    assert all(result["speaker"] == "Speaker 1" for result in results)
    assert all(len(word) == 4 for result in results for word in result["result"])


async def test_the_harness_sends_bare_pcm_at_real_time_and_sees_the_text_grow(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips["awb-road"]
    heard = await transcribe(service.socket_url + "/v2/realtime", service.key, clip.pcm, frame_ms=200)
    assert share_right(clip.text, heard.text) >= 0.9
    assert len(heard.partials) >= 4
    assert heard.states == ["listening", "stopped"]
    assert heard.find("state", "stopped") - heard.stop_sent_s < 10


async def test_five_seconds_of_zeros_at_five_times_real_time_yield_nothing_and_stop(service: Service) -> None:
    talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
    await talk.start()
    await talk.send(bytes(5 * 32_000), frame_ms=1000, pace=5)
    heard = await talk.stop()
    assert [message for _, message in heard.messages[1:]] == [{"state": "stopped"}]


async def test_one_half_second_frame_and_a_pause_stop_cleanly(service: Service, clips: dict[str, Clip]) -> None:
    talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
    await talk.start()
    await talk.send(clips["rms-train"].pcm[:16_000], frame_ms=500)
    await asyncio.sleep(1.0)
    heard = await talk.stop()
    assert heard.states[-1] == "stopped"
    assert heard.close_code == 1000


async def test_fifteen_seconds_of_nothing_and_then_speech_work_as_usual(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips["awb-weather"]
    talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
    await talk.start()
    await asyncio.sleep(15)
    await talk.send(clip.pcm, frame_ms=200)
    heard = await talk.stop()
    assert share_right(clip.text, heard.text) >= 0.9


async def test_half_a_clip_and_an_abrupt_close_free_the_session_and_a_reconnect_works_at_once(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips["rms-train"]
    for _ in range(5):
        talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
        await talk.start()
        await talk.send(clip.pcm[: len(clip.pcm) // 2], pace=None)
        await talk.abandon()
    heard = await transcribe(service.socket_url + "/v2/realtime", service.key, clip.pcm, pace=4)
    assert share_right(clip.text, heard.text) >= 0.9
    deadline = time.monotonic() + 5
    while (live := live_sessions(service)) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert live == 0


def live_sessions(service: Service) -> int:
    """Read the number of live sessions off the metrics."""
    lines = service.call("GET", "/metrics").text.splitlines()
    return round(sum(float(line.split()[-1]) for line in lines if line.startswith("scribewire_sessions_live")))


def load(text: str) -> dict[str, Any]:
    """Parse one message, which must be compact."""
    import json

    message: dict[str, Any] = json.loads(text)
    assert text == json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    return message


def v2_finals(heard: list[str]) -> str:
    """Join the finals of a v2 session."""
    return " ".join(message["text"] for message in map(load, heard) if message.get("is_final"))
