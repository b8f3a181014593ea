"""Hear a WAV file with LiveKit Agents' OpenAI plugin: `base_url` is all that sends it here."""

from __future__ import annotations

import asyncio
import os
import sys
import wave

from livekit import rtc
from livekit.agents import stt, utils
from livekit.plugins import openai

CHUNK_S = 0.05
QUIET_S = 2.0


async def speak(stream: stt.SpeechStream, audio: bytes, rate_hz: int) -> None:
    """Be the microphone: at the pace of speech, and quiet after it, by which the turn ends."""
    samples = round(rate_hz * CHUNK_S)
    audio += bytes(round(rate_hz * QUIET_S) * 2)
    for at in range(0, len(audio) - samples * 2, samples * 2):
        stream.push_frame(rtc.AudioFrame(audio[at : at + samples * 2], rate_hz, 1, samples))
        await asyncio.sleep(CHUNK_S)


async def read(stream: stt.SpeechStream) -> None:
    """Print what was heard until the stream is closed: this protocol has no end of its own."""
    async for event in stream:
        if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
            print(event.alternatives[0].text)


async def main(path: str) -> None:
    with wave.open(path) as file:
        rate_hz, audio = file.getframerate(), file.readframes(file.getnframes())
    async with utils.http_context.open():  # inside an agent the framework has one
        hearing = openai.STT(
            base_url=os.environ["SCRIBEWIRE_URL"] + "/v1",
            api_key=os.environ["SCRIBEWIRE_KEY"],
            model="fast",
            use_realtime=True,
        )
        async with hearing.stream() as stream:
            reading = asyncio.create_task(read(stream))
            await speak(stream, audio, rate_hz)
        await reading
        await hearing.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
