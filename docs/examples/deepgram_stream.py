"""Stream a WAV file through Deepgram's own client library: only the environment says that it goes here."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import ListenV1Metadata, ListenV1Results

URL = os.environ["SCRIBEWIRE_URL"]
SOCKET_URL = URL.replace("http", "ws", 1)
HERE = DeepgramClientEnvironment(base=URL, production=SOCKET_URL, agent=SOCKET_URL, agent_rest=URL)
CHUNK_BYTES = 8_000


async def main(audio: bytes) -> None:
    client = AsyncDeepgramClient(api_key=os.environ["SCRIBEWIRE_KEY"], environment=HERE)
    async with client.listen.v1.connect(model="nova-3", language="en-US", interim_results="true") as stream:
        for at in range(0, len(audio), CHUNK_BYTES):
            await stream.send_media(audio[at : at + CHUNK_BYTES])
        await stream.send_close_stream()
        async for message in stream:
            if isinstance(message, ListenV1Results) and message.is_final:
                print(message.channel.alternatives[0].transcript)
            elif isinstance(message, ListenV1Metadata):
                print(f"{message.duration:.1f} s of audio", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_bytes()))
