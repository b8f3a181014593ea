"""Audio from a file or a pipe as the service takes it: WAV and raw PCM by ourselves, everything else with PyAV."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from scribewire.core.audio import SAMPLE_RATE_HZ
from scribewire.core.intake import Intake
from scribewire.errors import ExtraMissing, NotFound, UnsupportedAudio

STDIN = "-"
_READ_BYTES = 32_000
# Enough for every magic below and for a WAV header's format; two milliseconds of raw audio.
_HEAD_BYTES = 64
_MAGICS = (b"fLaC", b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"FORM", b"caff", b".snd", b"#!AMR")
# The start of MP3 and AAC may as well be two samples: of these a file's name decides.
_OUR_SUFFIXES = {"", ".wav", ".wave", ".raw", ".pcm", ".s16", ".s16le"}


async def read_audio(source: str) -> AsyncIterator[bytes]:
    """Give s16le, 16 kHz, mono, in blocks of any size, as it comes from a file or (`-`) from standard input.

    A container from standard input is decoded once it is complete. Raises NotFound when the file cannot be read,
    UnsupportedAudio when it cannot be decoded and ExtraMissing when that takes PyAV.
    """
    blocks = _read_pipe() if source == STDIN and not _is_regular(sys.stdin.fileno()) else _read_file(source)
    seen = b""
    async for block in blocks:
        seen += block
        if len(seen) >= _HEAD_BYTES:
            break
    intake = Intake()
    if _needs_decoding(source, seen) or not _takes(seen):
        rest = b"".join([block async for block in blocks])
        for pcm in _decode(source, seen + rest):
            yield pcm
        return
    yield intake.push(seen)
    async for block in blocks:
        yield intake.push(block)
    yield intake.end()


async def decode_audio(content: bytes) -> AsyncIterator[bytes]:
    """Give what bytes hold in the same form: PCM, WAV or, with PyAV, a container that shows what it is."""
    head = content[:_HEAD_BYTES]
    if _is_container(head) or not _takes(head):
        for pcm in _decode("The audio", content):
            yield pcm
        return
    for at in range(0, len(content), _READ_BYTES):
        yield content[at : at + _READ_BYTES]


def _needs_decoding(source: str, head: bytes) -> bool:
    if source != STDIN and Path(source).suffix.lower() not in _OUR_SUFFIXES:
        return True
    return _is_container(head)


def _is_container(head: bytes) -> bool:
    return head.startswith(_MAGICS) or head[4:8] == b"ftyp"


def _takes(head: bytes) -> bool:
    try:
        Intake().push(head)
    except UnsupportedAudio:
        return False
    return True


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


async def _read_pipe() -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    try:
        while block := await reader.read(_READ_BYTES):
            yield block
    finally:
        transport.close()


async def _read_file(source: str) -> AsyncIterator[bytes]:
    # A regular file never makes the loop wait for long.
    with _open(source) as file:
        while block := file.read(_READ_BYTES):
            yield block


def _open(source: str) -> BinaryIO:
    if source == STDIN:
        return sys.stdin.buffer
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise NotFound(f"{source} cannot be read: {error.strerror}.") from error


def _decode(source: str, container: bytes) -> Iterator[bytes]:
    try:
        import av
    except ModuleNotFoundError as error:
        raise ExtraMissing("This audio format", "media") from error
    name = "The audio on standard input" if source == STDIN else source
    try:
        with av.open(io.BytesIO(container), "r") as file:
            if not file.streams.audio:
                raise UnsupportedAudio(f"{name} holds no audio.")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
            for frame in file.decode(audio=0):
                for block in resampler.resample(frame):
                    yield bytes(block.planes[0])[: block.samples * 2]
            for block in resampler.resample(None):
                yield bytes(block.planes[0])[: block.samples * 2]
    except av.FFmpegError as error:
        raise UnsupportedAudio(f"{name} cannot be decoded: {error.strerror or 'not a known audio format'}.") from error
