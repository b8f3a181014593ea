"""HLS: the segments of a playlist one after the other, for as long as it grows (RFC 8216 section 6.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import httpx

from scribewire.errors import FetchFailed, UnsupportedAudio
from scribewire.gateway.fetching.calls import Caller
from scribewire.gateway.fetching.playlists import Master, Media, Piece, parse

_log = logging.getLogger(__name__)

# Takes the next bytes, when there is room for them.
Take = Callable[[bytes], Awaitable[None]]

MAX_PLAYLIST_BYTES: Final = 1024 * 1024
# Of a live stream, begin this many segments before the newest: nearer and the next may not be there in time.
_BEHIND: Final = 3
# However short its segments, nobody's playlist is asked for more often.
_MIN_RELOAD_S: Final = 0.5
_MAX_MISSING: Final = 3


class Hls:
    """One stream. Everything that its playlists name is asked for by the same rules as they were."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._url = httpx.URL()
        self._media = Media()
        self._missing = 0

    async def open(self, url: httpx.URL, text: str) -> bool:
        """Take the playlist that `url` gave; say whether the stream is live.

        Raises UnsupportedAudio, FetchRefused or FetchFailed.
        """
        playlist = await asyncio.to_thread(parse, text)
        if isinstance(playlist, Master):
            url, playlist = await self._load(playlist.url, url)
        if isinstance(playlist, Master):
            raise UnsupportedAudio("The source's playlist names no segments.")
        self._url, self._media = url, playlist
        return not playlist.ended

    async def give(self, take: Take) -> None:
        """Give the stream's bytes, to its end. Raises FetchRefused, FetchFailed or UnsupportedAudio."""
        media, head = self._media, None
        following = media.first if media.ended else media.first + max(0, len(media.segments) - _BEHIND)
        while True:
            if following < media.first:
                _log.info("a live stream went on without us", extra={"segments": media.first - following})
                following = media.first
            for segment in media.segments[following - media.first :]:
                if segment.head is not None and segment.head != head:
                    head = segment.head
                    await self._fetch(head, media, take)
                await self._fetch(segment.piece, media, take)
                following += 1
            if media.ended:
                return
            media = await self._reload(media)

    async def _fetch(self, piece: Piece, media: Media, take: Take) -> None:
        try:
            async with self._caller.open(piece.url, self._url, span=piece.span) as answer:
                async for block in answer.blocks():
                    await take(block)
            self._missing = 0
        except FetchFailed as error:
            self._do_without(error, media)

    def _do_without(self, error: FetchFailed, media: Media) -> None:
        """Let a live stream have dropped what its playlist still named, unless that is all it does."""
        self._missing += 1
        if media.ended or self._missing > _MAX_MISSING:
            raise error

    async def _reload(self, media: Media) -> Media:
        """Wait until there should be more, and look; sooner again when there was not."""
        wait_s = media.target_s
        while True:
            await asyncio.sleep(max(_MIN_RELOAD_S, wait_s))
            try:
                _, newer = await self._load(str(self._url), self._url)
            except FetchFailed as error:
                self._do_without(error, media)
                continue
            if isinstance(newer, Master):
                raise UnsupportedAudio("The source's playlist names no segments.")
            if newer.ended or newer.first + len(newer.segments) > media.first + len(media.segments):
                return newer
            wait_s = media.target_s / 2

    async def _load(self, url: str, base: httpx.URL) -> tuple[httpx.URL, Media | Master]:
        async with self._caller.open(url, base) as answer:
            text = await answer.text(MAX_PLAYLIST_BYTES)
            return answer.url, await asyncio.to_thread(parse, text)  # the longest takes some 0.3 s
