"""Intake: the client's bytes in, whole PCM samples out; a WAV header in front of them is walked and checked.

Published clients pipe an encoder's WAV output into the socket, so a header may be split anywhere, and its declared
sizes mean nothing (an encoder that writes to a pipe does not know them). Source: RIFF/WAVE, "Multimedia Programming
Interface and Data Specifications 1.0" (1991); WAVEFORMATEXTENSIBLE for the format tag 0xFFFE.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
from scribewire.errors import UnsupportedAudio

_MAGICS: Final = (b"RIFF", b"RF64")
_PREFIX_BYTES: Final = 12
# An encoder's LIST chunk is some hundred bytes; a picture in one may be larger. Past this it is no audio stream.
_MAX_HEADER_BYTES: Final = 1024 * 1024
_FMT: Final = struct.Struct("<HHIIHH")
_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What a WAV header announces."""

    tag: int
    bits: int
    rate_hz: int
    channels: int

    def __str__(self) -> str:
        kind = "PCM" if self.tag == _PCM else f"format {self.tag}"
        return f"{self.bits}-bit {kind}, {self.rate_hz} Hz, {self.channels} channel(s)"


def take_inner_format(found: WavFormat) -> None:
    """Raise UnsupportedAudio for a WAV header that announces anything but 16-bit PCM, 16 kHz, mono."""
    if found != WavFormat(_PCM, 8 * SAMPLE_BYTES, SAMPLE_RATE_HZ, 1):
        raise UnsupportedAudio(f"The WAV header announces {found}; send 16-bit PCM, 16000 Hz, mono.")


class Intake:
    """Turns binary frames of any size into whole samples. The result does not depend on how they were cut.

    `take` is called with the format of a WAV header, and raises UnsupportedAudio when it does not take it.
    """

    def __init__(self, take: Callable[[WavFormat], None] = take_inner_format) -> None:
        self._take = take
        self._held = bytearray()
        self._raw = False
        self._format_seen = False
        self._skipped_bytes = 0

    def push(self, chunk: bytes) -> bytes:
        """Give the whole samples that are now certain, s16le; the rest is held (a header or an odd byte).

        Raises UnsupportedAudio for a WAV header that is broken or not taken.
        """
        if self._raw and not self._held and len(chunk) % SAMPLE_BYTES == 0:
            return chunk
        self._held += chunk
        if not self._raw:
            self._walk()
        return self._take_samples() if self._raw else b""

    def end(self) -> bytes:
        """Give what is held when nothing follows: bytes that could still have begun a header are audio after all."""
        if not self._skipped_bytes:
            self._raw = True
        return self._take_samples() if self._raw else b""

    def _take_samples(self) -> bytes:
        whole = len(self._held) - len(self._held) % SAMPLE_BYTES
        pcm = bytes(self._held[:whole])
        del self._held[:whole]
        return pcm

    def _walk(self) -> None:
        if not self._skipped_bytes:
            self._sniff()
        while self._skipped_bytes and not self._raw and self._walk_chunk():
            pass

    def _sniff(self) -> None:
        held = self._held
        if not any(magic.startswith(bytes(held[:4])) for magic in _MAGICS):
            self._raw = True
        elif len(held) >= _PREFIX_BYTES:
            if held[8:_PREFIX_BYTES] == b"WAVE":
                self._skip(_PREFIX_BYTES)
            else:
                self._raw = True

    def _walk_chunk(self) -> bool:
        """Pass one chunk of the header; False when it is not whole yet."""
        held = self._held
        if len(held) < 8:
            return False
        name, size = bytes(held[:4]), int.from_bytes(held[4:8], "little")
        if name == b"data":
            if not self._format_seen:
                raise UnsupportedAudio("The WAV header has no format before its audio.")
            self._skip(8)
            self._raw = True
            return True
        padded = 8 + size + size % 2
        if self._skipped_bytes + padded > _MAX_HEADER_BYTES:
            raise UnsupportedAudio("The WAV header is too long.")
        if len(held) < padded:
            return False
        if name == b"fmt ":
            self._take(_read_format(bytes(held[8 : 8 + size])))
            self._format_seen = True
        self._skip(padded)
        return True

    def _skip(self, count: int) -> None:
        del self._held[:count]
        self._skipped_bytes += count


def _read_format(body: bytes) -> WavFormat:
    if len(body) < _FMT.size:
        raise UnsupportedAudio("The WAV header's format is too short.")
    tag, channels, rate_hz, _, _, bits = _FMT.unpack_from(body)
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    return WavFormat(tag, bits, rate_hz, channels)
