"""Playlists: HTTP Live Streaming as far as sound needs it (RFC 8216).

Read here rather than by a library, because this text comes from strangers: reading it is linear in its length whatever
stands in it, fails in one way only, and looks at nothing but numbers and URLs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from scribewire.errors import UnsupportedAudio

MAGIC: Final = "#EXTM3U"
_MAX_SEGMENTS: Final = 50_000  # a day in pieces of two seconds
_ATTRIBUTE: Final = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)(?:,|$)')
_MAX_SECONDS: Final = 3600.0

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to fetch: a URL, relative or not, and if not all of it the first and last byte."""

    url: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of the stream, and what has to stand before the first of its kind."""

    piece: Piece
    head: Piece | None


@dataclass(frozen=True, slots=True)
class Media:
    """A playlist of segments; `first` is the number of the first in the whole stream."""

    first: int = 0
    target_s: float = 10.0
    ended: bool = False
    segments: list[Segment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Master:
    """A playlist of playlists: the one with the sound, the smallest where there are several."""

    url: str


def parse(text: str) -> Media | Master:
    """Read a playlist. Raises UnsupportedAudio when it is none, encrypted, or out of bounds."""
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0] != MAGIC:
        raise UnsupportedAudio("The source's playlist is not one of HTTP Live Streaming.")
    if any(line.startswith("#EXT-X-STREAM-INF:") for line in lines):
        return _choose(lines)
    try:
        return _read_media(lines)
    except ValueError as error:
        raise UnsupportedAudio("The source's playlist cannot be read.") from error


def _choose(lines: list[str]) -> Master:
    """Take the variant of the least bandwidth, and of its sound the rendition that is the default."""
    variants: list[tuple[float, str, str]] = []
    sounds: dict[str, str] = {}
    stream: dict[str, str] | None = None
    for line in lines:
        tag, _, rest = line.partition(":")
        if tag == "#EXT-X-STREAM-INF":
            stream = _attributes(rest)
        elif tag == "#EXT-X-MEDIA":
            media = _attributes(rest)
            if media.get("TYPE") == "AUDIO" and media.get("URI"):
                group = media.get("GROUP-ID", "")
                if media.get("DEFAULT") == "YES" or group not in sounds:
                    sounds[group] = media["URI"]
        elif stream is not None and line and not line.startswith("#"):
            bandwidth = stream.get("BANDWIDTH", "")
            rank = float(bandwidth) if bandwidth.isdecimal() and len(bandwidth) < 20 else 0.0
            variants.append((rank, line, stream.get("AUDIO", "")))
            stream = None
    if not variants:
        raise UnsupportedAudio("The source's playlist names no stream.")
    _, url, group = min(variants)
    return Master(sounds.get(group, url))


def _read_media(lines: list[str]) -> Media:
    first, target_s, ended = 0, 10.0, False
    segments: list[Segment] = []
    head: Piece | None = None
    span_text: str | None = None
    span: Span | None = None
    for line in lines:
        tag, _, rest = line.partition(":")
        if tag == "#EXT-X-TARGETDURATION":
            target_s = _seconds(rest)
        elif tag == "#EXT-X-MEDIA-SEQUENCE":
            first = _count(rest)
        elif tag == "#EXT-X-ENDLIST":
            ended = True
        elif tag == "#EXT-X-BYTERANGE":
            span_text = rest
        elif tag == "#EXT-X-MAP":
            head = _read_map(rest)
        elif tag == "#EXT-X-KEY" and _attributes(rest).get("METHOD") != "NONE":
            raise UnsupportedAudio("The source is encrypted.")
        elif line and not line.startswith("#"):
            span = _span(span_text, span) if span_text is not None else None
            segments.append(Segment(Piece(line, span), head))
            span_text = None
            if len(segments) > _MAX_SEGMENTS:
                raise UnsupportedAudio("The source's playlist is too long.")
    return Media(first, target_s, ended, segments)


def _read_map(text: str) -> Piece:
    attributes = _attributes(text)
    if not attributes.get("URI"):
        raise ValueError
    ranged = attributes.get("BYTERANGE")
    return Piece(attributes["URI"], _span(ranged, None) if ranged else None)


def _attributes(text: str) -> dict[str, str]:
    return dict(_each_attribute(text))


def _each_attribute(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while found := _ATTRIBUTE.match(text, at):
        yield found[1], found[2].strip('"')
        at = found.end()


def _span(text: str, before: Span | None) -> Span:
    """Read `<length>[@<offset>]`; without an offset it follows the span before it."""
    length, _, offset = text.partition("@")
    start = _count(offset) if offset else before[1] + 1 if before else 0
    return start, start + _count(length) - 1


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise ValueError
    return int(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not isfinite(seconds) or not 0 <= seconds <= _MAX_SECONDS:
        raise ValueError
    return seconds
