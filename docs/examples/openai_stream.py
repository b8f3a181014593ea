"""Hear a WAV file with OpenAI's client library: `base_url` and the key are all that sends it here."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import wave
from typing import Any

from openai import AsyncOpenAI

client = AsyncOpenAI(base_url=os.environ["SCRIBEWIRE_URL"] + "/v1", api_key=os.environ["SCRIBEWIRE_KEY"])


async def main(path: str) -> None:
    with wave.open(path) as file:
        rate_hz, audio = file.getframerate(), file.readframes(file.getnframes())
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        # Theirs is 24 kHz always; other rates are taken here as well.
        given: Any = {
            "format": {"type": "audio/pcm", "rate": rate_hz},
            "transcription": {"language": "en"},
            "turn_detection": None,
        }
        await connection.session.update(session={"type": "transcription", "audio": {"input": given}})
        for at in range(0, len(audio), rate_hz):
            await connection.input_audio_buffer.append(audio=base64.b64encode(audio[at : at + rate_hz]).decode())
        await connection.input_audio_buffer.commit()
        async for event in connection:
            if event.type == "conversation.item.input_audio_transcription.delta":
                print(event.delta, end="", file=sys.stderr, flush=True)
            elif event.type == "conversation.item.input_audio_transcription.completed":
                print("\n" + event.transcript)
                break
            elif event.type == "error":
                sys.exit(event.error.message)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
