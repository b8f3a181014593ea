"""The decoder, a process of its own: a stranger's media on standard input, s16le 16 kHz mono on standard output.

It is handed every byte that it reads, holds no secret, and can open nothing. What breaks it breaks nothing else. Its
exit status is 0 when all was decoded, and `UNDECODABLE` when it could not be, or not to its end.
"""

from __future__ import annotations

import io
import os
import resource
import sys
import wave
from collections.abc import Iterator
from typing import Any, Final, NoReturn

UNDECODABLE: Final = 3
_RATE_HZ: Final = 16_000
_IN, _OUT = 0, 1
_WRITE_BYTES: Final = 3200  # 100 ms
# Containers that hold their media themselves; none that names other files (hls, dash, concat, sdp, image sequences).
_FORMATS: Final = "aac,ac3,aiff,amr,asf,au,caf,eac3,flac,flv,matroska,webm,mov,mp3,mpeg,mpegts,ogg,wav,w64"
_OPTIONS: Final = {
    "format_whitelist": _FORMATS,
    "protocol_whitelist": "none",
    "analyzeduration": "1000000",  # of media; the default waits for 5 s of a live stream
}


def main(lifeline_fd: int, memory_bytes: int, cpu_s: int) -> NoReturn:
    """Decode until the end of input."""
    from scribewire import lifeline

    lifeline.end_with(lifeline_fd)
    import av

    # PyAV imports parts of itself when they are first wanted; from here on no file can be opened.
    for _ in _decode(av, _silence()):
        pass
    _limit(memory_bytes, cpu_s)
    try:
        _write(_decode(av, _Input()))
    except BrokenPipeError:
        pass  # nobody wants the rest
    except (av.FFmpegError, ValueError, MemoryError, LookupError):
        os._exit(UNDECODABLE)
    os._exit(0)


def _limit(memory_bytes: int, cpu_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    for nothing in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
        resource.setrlimit(nothing, (0, 0))


def _silence() -> io.BytesIO:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    return io.BytesIO(made.getvalue())


class _Input:
    """Standard input, without seeking. Never gives more than it is asked for: libav would write past its buffer."""

    def read(self, count: int) -> bytes:
        return os.read(_IN, count)


def _refuse(*_: object) -> NoReturn:
    raise PermissionError


def _decode(av: Any, media: object) -> Iterator[bytes]:
    with av.open(media, "r", options=_OPTIONS, io_open=_refuse) as container:
        stream = container.streams.best("audio")
        if stream is None:
            raise LookupError
        stream.codec_context.thread_count = 1
        resampler: Any = None
        form = None
        for frame in _frames(av, container, stream):
            if form != (frame.format.name, frame.layout.name, frame.sample_rate):
                if resampler is not None:
                    yield from _bytes(resampler.resample(None))
                form = (frame.format.name, frame.layout.name, frame.sample_rate)
                resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE_HZ)
            frame.pts = None  # gaps in a stranger's clock are no silence
            yield from _bytes(resampler.resample(frame))
        if resampler is not None:
            yield from _bytes(resampler.resample(None))


def _frames(av: Any, container: Any, stream: Any) -> Iterator[Any]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except MemoryError:
            raise
        except av.FFmpegError:
            continue  # a damaged packet is a gap, not the end, and a decoder may call it by any name


def _bytes(frames: Any) -> Iterator[bytes]:
    for frame in frames:
        yield bytes(frame.planes[0])[: frame.samples * 2]


def _write(blocks: Iterator[bytes]) -> None:
    held = bytearray()
    try:
        for block in blocks:
            held += block
            while len(held) >= _WRITE_BYTES:
                del held[: os.write(_OUT, held)]
    finally:  # also of what can be decoded no further
        while held:
            del held[: os.write(_OUT, held)]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
