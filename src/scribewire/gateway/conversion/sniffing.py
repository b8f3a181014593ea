"""Sniffing: what the audio really is, by its first bytes; what is declared counts where they say nothing."""

from __future__ import annotations

from typing import Final

from scribewire.core.audio import AudioFormat
from scribewire.errors import UnsupportedAudio
from scribewire.gateway.conversion.base import Converter
from scribewire.gateway.conversion.demuxing import Demuxed
from scribewire.gateway.conversion.opus import OpusPackets
from scribewire.gateway.conversion.pcm import Pcm
from scribewire.gateway.conversion.wav import Wav

# As far as the magic of an MP4 reaches.
_HEAD_BYTES: Final = 12
_WAV_MAGICS: Final = (b"RIFF", b"RF64")
_MAGICS: Final = {b"OggS": "ogg", b"fLaC": "flac", b"\x1aE\xdf\xa3": "matroska", b"ID3": "mp3"}


class Sniffing(Converter):
    """Waits for the first bytes and chooses the converter for the rest."""

    def __init__(self, audio: AudioFormat) -> None:
        super().__init__(audio)
        self._head = b""
        self._chosen: Converter | None = None

    @property
    def channels(self) -> int:
        return self._chosen.channels if self._chosen is not None else super().channels

    async def convert(self, chunk: bytes) -> bytes:
        if self._chosen is not None:
            return await self._chosen.convert(chunk)
        self._head += chunk
        # Packets are told apart by their frames, and may be shorter than any magic.
        if len(self._head) < _HEAD_BYTES and self.audio.encoding != "opus":
            return b""
        return await self._choose()

    async def drain(self, *, last: bool) -> bytes:
        chosen = b""
        if self._chosen is None and last and self._head:
            chosen = await self._choose()
        return chosen + await self._chosen.drain(last=last) if self._chosen is not None else chosen

    async def close(self) -> None:
        if self._chosen is not None:
            await self._chosen.close()

    async def _choose(self) -> bytes:
        head, self._head = self._head, b""
        self._chosen = _converter_by(head, self.audio)
        return await self._chosen.convert(head)


def _converter_by(head: bytes, audio: AudioFormat) -> Converter:
    if head.startswith(_WAV_MAGICS):
        return Wav(audio)
    container = _container_of(head, encoded=audio.encoding in ("container", "flac"))
    if container is not None:
        return Demuxed(audio, container)
    match audio.encoding:
        case "opus":
            return OpusPackets(audio)
        case "container" | "flac":
            raise UnsupportedAudio("The audio is in no container that is known: WAV, Ogg, WebM, FLAC, MP3, AAC, MP4.")
        case _:
            return Pcm(audio)


def _container_of(head: bytes, *, encoded: bool) -> str | None:
    """Give the name of a container. Where the audio may be samples, only by a magic that they hardly ever are."""
    for magic, name in _MAGICS.items():
        if head.startswith(magic) and (encoded or len(magic) == 4):
            return name
    if not encoded:
        return None
    if head[4:8] == b"ftyp":
        return "mov"
    # The first eleven or twelve bits of every MPEG audio frame are ones; AAC has no layer (ISO 11172-3, 13818-7).
    if head[0] == 0xFF and len(head) > 1 and head[1] & 0xE0 == 0xE0:
        return "mp3" if head[1] & 0x06 else "aac"
    return None
