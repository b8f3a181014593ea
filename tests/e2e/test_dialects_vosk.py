"""The Vosk dialect on a real service: the vendor's own client, and what the published bridges do, to the frame."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import wave
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from service import Service, running
from tests.e2e.conftest import Clip
from tests.e2e.resampling import at_rate
from tests.e2e.words import share_right
from tests.tiny import vosk as tiny_model

pytestmark = pytest.mark.e2e

EOF = '{"eof" : 1}'
# What the modules for Asterisk and FreeSWITCH gather before they send: 0.2 s at 8 kHz.
BLOCK_BYTES = 3200
CLIP = "rms-train"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "vosk_client.py"


def url_of(service: Service, query: str = "") -> str:
    return f"{service.socket_url}/vosk?token={service.key}{query}"


def config_of(rate_hz: float, **config: object) -> str:
    return json.dumps({"config": {"sample_rate": rate_hz, **config}})


async def in_step(wire: ClientConnection, pcm: bytes, *, block_bytes: int, pace_s: float = 0.0) -> list[Any]:
    """Send a block, read the one answer to it, and so on; then the end and its one answer."""
    answers = []
    for at in range(0, len(pcm), block_bytes):
        await asyncio.sleep(pace_s)
        await wire.send(pcm[at : at + block_bytes])
        answers.append(json.loads(await asyncio.wait_for(wire.recv(), 10)))
    await wire.send(EOF)
    answers.append(json.loads(await asyncio.wait_for(wire.recv(), 30)))
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(wire.recv(), 10)
    assert wire.close_code == 1000
    return answers


def text_of(answers: list[Any]) -> str:
    return " ".join(answer["text"] for answer in answers if answer.get("text"))


# --- the vendor's client ----------------------------------------------------------------------------------------------


async def test_the_client_of_the_vosk_package_transcribes_speech(
    service: Service, clips: dict[str, Clip], tmp_path: Path
) -> None:
    client = pytest.importorskip("vosk.transcriber.transcriber", reason="needs the extra vosk")
    # It loads a model even when a server recognises; any will do.
    (tmp_path / "model").mkdir()
    model = str(tiny_model.write(tmp_path / "model"))
    arguments = Namespace(
        model=model, model_name=None, lang=None, server=url_of(service, "&sample_rate=16000"), output_type="txt"
    )
    transcriber = client.Transcriber(arguments)
    clip = clips[CLIP]
    (tmp_path / "clip.raw").write_bytes(clip.pcm)
    decoder = await asyncio.create_subprocess_exec("cat", tmp_path / "clip.raw", stdout=asyncio.subprocess.PIPE)

    results, sent_bytes = await transcriber.recognize_stream_server(decoder)
    await decoder.wait()

    assert sent_bytes == len(clip.pcm)
    assert share_right(clip.text, transcriber.format_result(results).strip()) >= 0.9


async def test_the_documented_example_prints_the_text(service: Service, clips: dict[str, Clip], tmp_path: Path) -> None:
    clip = clips[CLIP]
    with wave.open(str(tmp_path / "speech.wav"), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16_000)
        wav.writeframes(clip.pcm)
    example = await asyncio.create_subprocess_exec(
        *(sys.executable, EXAMPLE, tmp_path / "speech.wav"),
        env={**os.environ, "SCRIBEWIRE_URL": service.url, "SCRIBEWIRE_KEY": service.key},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(example.communicate(), 60)
    assert share_right(clip.text, " ".join(printed.decode().split())) >= 0.9


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100])
async def test_a_client_in_step_hears_all_whatever_its_rate(
    service: Service, clips: dict[str, Clip], rate_hz: int
) -> None:
    clip = clips[CLIP]
    async with connect(url_of(service)) as wire:
        await wire.send(config_of(rate_hz))
        answers = await in_step(wire, at_rate(clip.pcm, rate_hz), block_bytes=rate_hz // 5 * 2)
    # Half the bandwidth costs the embedded recogniser a word or two.
    assert share_right(clip.text, text_of(answers)) >= (0.9 if rate_hz >= 16_000 else 0.6)


async def test_a_client_at_the_pace_of_speech_sees_the_text_grow_and_each_result_with_its_words(
    service: Service, clips: dict[str, Clip]
) -> None:
    clip = clips["rms-pauses"]
    async with connect(url_of(service)) as wire:
        await wire.send(config_of(16_000, words=True, max_alternatives=0, phrase_list=["train", "[unk]"]))
        answers = await in_step(wire, clip.pcm, block_bytes=6400, pace_s=0.1)
    partials = {answer["partial"] for answer in answers if answer.get("partial")}
    results = [answer for answer in answers if "result" in answer]
    assert len(partials) >= 4
    assert len(results) >= 2
    assert share_right(clip.text, text_of(answers)) >= 0.8
    words = [word for result in results for word in result["result"]]
    assert all(word.keys() == {"conf", "start", "end", "word"} for word in words)
    times = [word[side] for word in words for side in ("start", "end")]
    assert times == sorted(times)


async def test_silence_is_answered_with_empty_partials_and_an_empty_end(service: Service) -> None:
    async with connect(url_of(service)) as wire:
        answers = await in_step(wire, bytes(5 * 16_000), block_bytes=BLOCK_BYTES)
    assert answers == [{"partial": ""}] * 25 + [{"text": ""}]


# --- the published bridges --------------------------------------------------------------------------------------------


async def test_a_telephony_module_that_says_no_rate_and_reads_now_and_then_hears_all(
    service: Service, clips: dict[str, Clip]
) -> None:
    """Asterisk and FreeSWITCH: 8 kHz without a config, blocks of 3,200 bytes, at most one message read each 20 ms."""
    clip = clips[CLIP]
    pcm = at_rate(clip.pcm, 8000)
    speech = [pcm[at : at + BLOCK_BYTES] for at in range(0, len(pcm), BLOCK_BYTES)]
    heard: list[Any] = []
    async with asyncio.timeout(60), connect(url_of(service), subprotocols=None) as wire:
        # A caller stays on the line in silence until there is an answer.
        while speech or not text_of(heard):
            await wire.send(speech.pop(0) if speech else bytes(BLOCK_BYTES))
            for _ in range(10):
                try:
                    heard.append(json.loads(await asyncio.wait_for(wire.recv(), 0.02)))
                except TimeoutError:
                    continue
    # They close without an end, so only what came as a result counts.
    assert share_right(clip.text, text_of(heard)) >= 0.6


async def test_a_bridge_that_sends_everything_at_once_reads_all_until_the_close(
    service: Service, clips: dict[str, Clip]
) -> None:
    """Jigasi, for a single request: config, one frame, the end, then whatever comes until the close."""
    clip = clips[CLIP]
    async with connect(url_of(service)) as wire:
        for message in ('{"config" : {"sample_rate" : 16000.0}}', clip.pcm, EOF):
            await wire.send(message)
        answers = [json.loads(text) async for text in wire]
    assert len(answers) == 2
    assert share_right(clip.text, text_of(answers)) >= 0.9


# --- who may come in, and what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?token=sw_wrong"])
async def test_without_a_good_key_the_upgrade_is_refused(service: Service, query: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(service.socket_url + "/vosk" + query)
    assert refusal.value.response.status_code == 401
    assert refusal.value.response.body == b'{"detail":"Not authenticated"}'


async def test_a_key_may_stand_in_the_url_as_a_password(service: Service) -> None:
    url = service.socket_url.replace("//", f"//anybody:{service.key}@") + "/vosk"
    async with connect(url) as wire:
        assert await in_step(wire, b"", block_bytes=BLOCK_BYTES) == [{"text": ""}]


async def test_a_socket_may_wait_for_its_first_audio_longer_than_a_start_may_take() -> None:
    """Jigasi opens one for each participant, who may be silent for minutes."""
    async with running({"SESSION__START_WAIT_S": "1"}) as service, connect(url_of(service)) as wire:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.recv(), 2)
        await wire.send(EOF)
        assert await asyncio.wait_for(wire.recv(), 10) == '{"text":""}'


async def test_a_malformed_message_ends_the_session_with_its_reason(service: Service) -> None:
    async with connect(url_of(service)) as wire:
        await wire.send('{"action":"start"}')
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(wire.recv(), 10)
    assert wire.close_code == 1011
    assert wire.close_reason == "The message is neither a config nor an eof."
