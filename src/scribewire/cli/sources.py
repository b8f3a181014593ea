"""Where audio comes from by name: how long a file is, and media at a URL, decoded with PyAV on this machine."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
from scribewire.errors import ExtraMissing, Unreachable, UnsupportedAudio

if TYPE_CHECKING:
    from av import FFmpegError
    from av.container import InputContainer

_OPEN_WAIT_S = 10.0
# A radio may stop for a while; a server that says nothing for longer has gone.
_READ_WAIT_S = 30.0
# A playlist names other media: none of them may be a file of this machine.
_PROTOCOLS = "http,https,tcp,tls,httpproxy,crypto"
_RAW_SUFFIXES = {"", ".raw", ".pcm", ".s16", ".s16le"}


def is_url(source: str) -> bool:
    """Say whether a source is fetched rather than opened."""
    return source.lower().startswith(("http://", "https://"))


def length_s(path: str) -> float | None:
    """Give how long a file is, or None where that is not known before it is decoded."""
    if Path(path).suffix.lower() in _RAW_SUFFIXES:
        return _length_of_raw_s(path)
    try:
        import av

        with av.open(path) as file:
            return file.duration / av.time_base if file.duration else None
    except (OSError, ValueError, EOFError):  # as PyAV's own are
        return None
    except ModuleNotFoundError:
        return _length_of_raw_s(path)  # without it, what is not raw is WAV, and its header is short


class RemoteMedia:
    """Media at an http(s) URL: a file, a radio, a playlist. `total_s` is None where it has no end.

    Opening waits for the server. Raises Unreachable when it does not give the media, UnsupportedAudio when that holds
    no audio that can be decoded, and ExtraMissing without PyAV.
    """

    def __init__(self, url: str) -> None:
        try:
            import av
        except ModuleNotFoundError as error:
            raise ExtraMissing("Reading a URL", "media") from error
        self._name = _shown(url)
        try:
            self._file: InputContainer = av.open(
                url, "r", timeout=(_OPEN_WAIT_S, _READ_WAIT_S), options={"protocol_whitelist": _PROTOCOLS}
            )
        except av.FFmpegError as error:
            raise self._error_of(error) from error
        if not self._file.streams.audio:
            raise UnsupportedAudio(f"{self._name} holds no audio.")
        self.total_s = self._file.duration / av.time_base if self._file.duration else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        blocks = self._decode()
        while block := await asyncio.to_thread(next, blocks, b""):
            yield block

    def _decode(self) -> Iterator[bytes]:
        import av

        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
        try:
            with self._file as file:
                for frame in file.decode(audio=0):
                    for block in resampler.resample(frame):
                        yield bytes(block.planes[0])[: block.samples * SAMPLE_BYTES]
                for block in resampler.resample(None):
                    yield bytes(block.planes[0])[: block.samples * SAMPLE_BYTES]
        except av.FFmpegError as error:
            raise self._error_of(error) from error

    def _error_of(self, error: FFmpegError) -> Unreachable | UnsupportedAudio:
        if isinstance(error, ValueError):  # as PyAV's own are of bytes that are not what they should be
            return UnsupportedAudio(f"{self._name} cannot be decoded: {error.strerror}.")
        # FFmpeg says no more than "Input/output error" of a host that it does not find.
        why = "there is no such host, or it broke off" if error.errno == errno.EIO else error.strerror
        return Unreachable(f"{self._name} cannot be read: {why}.")


def _length_of_raw_s(path: str) -> float | None:
    try:
        return Path(path).stat().st_size / SAMPLE_BYTES / SAMPLE_RATE_HZ or None
    except OSError:
        return None


def _shown(url: str) -> str:
    """Give a URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
