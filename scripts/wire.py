"""A bare client of the wire contract that times everything it sends and hears, for tests, benchmarks, measurements."""

from __future__ import annotations

import asyncio
import json
import math
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

BYTES_PER_S = 32_000
WAIT_S = 60.0


@dataclass
class Transcript:
    """What one session said, with the monotonic time of each message; and when it was spoken to."""

    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    start_sent_s: float = 0.0
    first_audio_s: float = 0.0
    last_audio_s: float = 0.0
    stop_sent_s: float = 0.0
    close_code: int | None = None

    def find(self, key: str, value: object = None) -> float:
        """Give when the first message came that has `key` (with `value`, when one is given)."""
        for at_s, message in self.messages:
            if key in message and (value is None or message[key] == value):
                return at_s
        raise LookupError(f"no message with {key} in {[message for _, message in self.messages][-3:]}")

    @property
    def finals(self) -> list[dict[str, Any]]:
        """Give the finals, v2 or v1, in order."""
        return [message for _, message in self.messages if message.get("is_final") or "result" in message]

    @property
    def partials(self) -> list[tuple[float, dict[str, Any]]]:
        """Give the partials with their times, v2 or v1, in order."""
        return [(at, m) for at, m in self.messages if m.get("is_final") is False or "partial" in m]

    @property
    def text(self) -> str:
        """Join the finals."""
        return " ".join(final["text"] for final in self.finals)

    @property
    def states(self) -> list[str]:
        """Give the states told, in order."""
        return [message["state"] for _, message in self.messages if "state" in message]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Give the errors told, in order."""
        return [message for _, message in self.messages if "error" in message]


class Talk:
    """One open session. A task of its own reads, so that every message is timed when it arrives."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard = Transcript()
        self._changed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, key: str | None = None, **options: Any) -> Talk:
        """Connect, with the key in the contract's header when one is given."""
        headers = {"x-zoom-s2t-key": key} if key else {}
        headers |= options.pop("headers", {})
        return cls(await connect(url, additional_headers=headers, compression=None, max_size=None, **options))

    async def _read(self) -> None:
        try:
            async for text in self.socket:
                self.heard.messages.append((time.monotonic(), json.loads(text)))
                self._changed.set()
        except ConnectionClosed:
            pass
        self.heard.close_code = self.socket.close_code
        self._changed.set()

    async def say(self, **message: object) -> None:
        """Send one JSON message."""
        await self.socket.send(json.dumps(message))

    async def start(self, **options: object) -> None:
        """Send start and wait for `listening`."""
        self.heard.start_sent_s = time.monotonic()
        await self.say(action="start", **options)
        await self.until("state", "listening")

    async def until(self, key: str, value: object = None, *, within_s: float = WAIT_S) -> dict[str, Any]:
        """Wait for a message with `key` (and `value`); give the first."""
        async with asyncio.timeout(within_s):
            while True:
                self._changed.clear()
                for _, message in self.heard.messages:
                    if key in message and (value is None or message[key] == value):
                        return message
                if self._reader.done():
                    raise ConnectionError(f"closed with {self.heard.close_code} before {key}: {self.heard.errors}")
                await self._changed.wait()

    async def send(self, pcm: bytes, *, frame_ms: float = 100, pace: float | None = 1.0) -> None:
        """Send audio in frames at `pace` times real time; None is as fast as the socket takes it."""
        frame_bytes = max(1, round(frame_ms * BYTES_PER_S / 1000))
        began_s = time.monotonic()
        if not self.heard.first_audio_s:
            self.heard.first_audio_s = began_s
        for at in range(0, len(pcm), frame_bytes):
            if pace is not None:
                await asyncio.sleep(began_s + at / BYTES_PER_S / pace - time.monotonic())
            await self.socket.send(pcm[at : at + frame_bytes])
        self.heard.last_audio_s = time.monotonic()

    async def stop(self) -> Transcript:
        """Send stop, wait for `stopped` and the close; give all that was heard."""
        self.heard.stop_sent_s = time.monotonic()
        await self.say(action="stop")
        return await self.ended()

    async def ended(self, *, within_s: float = WAIT_S) -> Transcript:
        """Wait for the close; give all that was heard."""
        async with asyncio.timeout(within_s):
            await self._reader
        return self.heard

    async def abandon(self) -> None:
        """Break the connection without a closing handshake."""
        self.socket.transport.abort()
        await self.ended()


async def transcribe(url: str, key: str, pcm: bytes, *, pace: float | None = 1.0, frame_ms: float = 100) -> Transcript:
    """Hold one whole session over `pcm`."""
    talk = await Talk.open(url, key)
    await talk.start()
    await talk.send(pcm, pace=pace, frame_ms=frame_ms)
    return await talk.stop()


def read_wav(path: Path) -> bytes:
    """Give the samples of a 16 kHz mono 16-bit WAV file."""
    with wave.open(str(path), "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (16_000, 1, 2):
            raise ValueError(f"{path.name} is not 16 kHz mono 16-bit")
        return file.readframes(file.getnframes())


def lags_s(heard: Transcript, *, frame_s: float) -> Iterator[float]:
    """Give, for each partial, how long ago the frame was due that completed the audio it reaches (real time)."""
    for at_s, message in heard.partials:
        frames_before = math.ceil(message["offset_ms"] / 1000 / frame_s) - 1
        yield at_s - (heard.first_audio_s + frames_before * frame_s)
