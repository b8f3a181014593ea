"""Hear a WAV file as clients of vosk-server do: send a block, read the answer to it. The address sends it here."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import wave

from websockets.asyncio.client import connect

URL = os.environ["SCRIBEWIRE_URL"].replace("http", "ws", 1) + "/vosk?token=" + os.environ["SCRIBEWIRE_KEY"]


async def main(path: str) -> None:
    with wave.open(path, "rb") as wav:
        async with connect(URL) as socket:
            await socket.send(json.dumps({"config": {"sample_rate": wav.getframerate()}}))
            while audio := wav.readframes(wav.getframerate() // 5):
                await socket.send(audio)
                show(await socket.recv())
            await socket.send('{"eof" : 1}')
            show(await socket.recv())


def show(answer: str | bytes) -> None:
    """Print a result; partials are passed over."""
    text = json.loads(answer).get("text")
    if text:
        print(text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
