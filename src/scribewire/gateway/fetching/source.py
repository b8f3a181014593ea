"""Source: the sound that a URL leads to, as samples, within the bounds of one session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final, Self

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
from scribewire.errors import FetchFailed, UnsupportedAudio
from scribewire.gateway.fetching.calls import Answer, Caller
from scribewire.gateway.fetching.decoding import Decoder
from scribewire.gateway.fetching.hls import MAX_PLAYLIST_BYTES, Hls
from scribewire.gateway.fetching.pace import Pace
from scribewire.gateway.fetching.playlists import MAGIC
from scribewire.settings import FetchSettings

_LIVE_BLOCK_BYTES: Final = 3200  # 100 ms
_FILE_BLOCK_BYTES: Final = 32_000
# Servers that know no better say octet-stream, or nothing at all.
_TYPES: Final = frozenset(
    {
        "",
        "application/mp4",
        "application/mpegurl",
        "application/octet-stream",
        "application/ogg",
        "application/vnd.apple.mpegurl",
        "application/x-mpegurl",
        "binary/octet-stream",
    }
)


class Source:
    """One URL being fetched and decoded, until it is left."""

    def __init__(self, settings: FetchSettings, caller: Caller, url: str) -> None:
        self._settings = settings
        self._caller = caller
        self._url = url
        self._live = False
        self._pace = Pace()
        self._given_bytes = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._ends_at_s = self._loop.time() + self._settings.max_s
        self._stack.push_async_callback(self._caller.close)
        self._decoder = await Decoder.spawn(audio_s=self._settings.max_s)
        self._stack.push_async_callback(self._decoder.close)
        self._filling = asyncio.create_task(self._fill())
        self._stack.push_async_callback(self._stop_filling)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def first(self) -> bytes:
        """Give the first samples. Raises FetchRefused, FetchFailed or UnsupportedAudio."""
        pcm = await self._read(self._settings.load_wait_s)
        if not pcm:
            raise UnsupportedAudio("The source holds no audio.")
        return pcm

    async def read(self) -> bytes:
        """Give the next samples, in real time where the source is live; nothing at the end.

        Raises FetchFailed, FetchRefused and UnsupportedAudio where it ends otherwise.
        """
        return await self._read(self._settings.stall_s)

    async def _read(self, wait_s: float) -> bytes:
        try:
            async with asyncio.timeout(wait_s):
                pcm = await self._decoder.read(_LIVE_BLOCK_BYTES if self._live else _FILE_BLOCK_BYTES)
                if not pcm:
                    await self._filling  # which raises what ended it
        except TimeoutError as error:
            raise FetchFailed("The source gave no audio in time.") from error
        except UnsupportedAudio:
            # What ended the bytes explains why there was nothing to decode.
            if self._filling.done():
                await self._filling
            raise
        self._given_bytes += len(pcm)
        given_s = self._given_bytes / SAMPLE_BYTES / SAMPLE_RATE_HZ
        if given_s > self._settings.max_s or self._loop.time() > self._ends_at_s:
            raise FetchFailed("The source is longer than may be fetched.")
        if self._live:
            await asyncio.sleep(self._pace.hold_s(pcm, self._loop.time()))
        return pcm

    async def _fill(self) -> None:
        """Fetch for as long as there is something, and give it to the decoder as fast as that takes it."""
        try:
            async with self._caller.open(self._url) as answer:
                if answer.type not in _TYPES and not answer.type.startswith(("audio/", "video/")):
                    raise UnsupportedAudio("The source is not audio, by its content type.")
                blocks, head = await _begin(answer)
                if not head.startswith(MAGIC.encode()):
                    self._live = answer.endless
                    await self._decoder.feed(head)
                    async for block in blocks:
                        await self._decoder.feed(block)
                    return
                text = await _rest(head, blocks)
            hls = Hls(self._caller)
            self._live = await hls.open(answer.url, text)
            await hls.give(self._decoder.feed)
        finally:
            self._decoder.end()

    async def _stop_filling(self) -> None:
        self._filling.cancel()
        await asyncio.gather(self._filling, return_exceptions=True)


async def _begin(answer: Answer) -> tuple[AsyncIterator[bytes], bytes]:
    """Read as much as tells a playlist."""
    blocks = answer.blocks()
    head = b""
    async for block in blocks:
        head += block
        if len(head) >= len(MAGIC):
            break
    return blocks, head


async def _rest(head: bytes, blocks: AsyncIterator[bytes]) -> str:
    body = bytearray(head)
    async for block in blocks:
        body += block
        if len(body) > MAX_PLAYLIST_BYTES:
            raise FetchFailed("The source's playlist is too long.")
    return body.decode("utf-8", "replace")
