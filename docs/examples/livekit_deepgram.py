"""Hear a WAV file of 16 kHz with LiveKit Agents' Deepgram plugin: `base_url` is all that sends it here."""

from __future__ import annotations

import asyncio
import os
import sys
import wave

import aiohttp
from livekit import rtc
from livekit.agents import stt
from livekit.plugins import deepgram


async def main(path: str) -> None:
    with wave.open(path) as file:
        rate_hz, audio = file.getframerate(), file.readframes(file.getnframes())
    async with aiohttp.ClientSession() as session:
        hearing = deepgram.STT(
            base_url=os.environ["SCRIBEWIRE_URL"] + "/v1/listen",
            api_key=os.environ["SCRIBEWIRE_KEY"],
            sample_rate=rate_hz,
            http_session=session,  # inside an agent the framework has one
        )
        async with hearing.stream() as stream:
            stream.push_frame(rtc.AudioFrame(audio, rate_hz, 1, len(audio) // 2))
            stream.end_input()
            async for event in stream:
                if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                    print(event.alternatives[0].text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
