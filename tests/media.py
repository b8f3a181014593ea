"""Media made of samples: files of every kind, and the segments of a live stream."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import av
import numpy as np

_RATES_HZ = {"libopus": 48_000}


def encode(pcm: bytes, form: str, codec: str, **options: str) -> bytes:
    """Give s16le, 16 kHz, mono as a file of another kind, in stereo at 44.1 or 48 kHz."""
    made = io.BytesIO()
    rate_hz = _RATES_HZ.get(codec, 44_100)
    with av.open(made, "w", format=form, options=options) as container:
        stream = cast("av.AudioStream", container.add_stream(codec, rate=rate_hz))
        stream.layout = "stereo"
        for frame in _frames(pcm, stream, rate_hz):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return made.getvalue()


def _frames(pcm: bytes, stream: Any, rate_hz: int) -> Iterator[av.AudioFrame]:
    whole = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
    whole.sample_rate = 16_000
    resampler = av.AudioResampler(
        format=stream.codec_context.codec.audio_formats[0].name, layout="stereo", rate=rate_hz
    )
    fifo = av.AudioFifo()
    for block in [*resampler.resample(whole), *resampler.resample(None)]:
        block.pts = None
        fifo.write(block)
    while fifo.samples:
        yield cast("av.AudioFrame", fifo.read(stream.codec_context.frame_size or 1024, partial=True))


def segments(pcm: bytes, form: str = "mpegts", *, each_s: float = 2.0) -> tuple[bytes, list[bytes]]:
    """Give an HLS stream's initial part (empty for MPEG-TS) and its segments, each of whole frames of AAC."""
    each = max(1, round(len(pcm) / 32_000 / each_s))
    if form == "mpegts":
        whole = encode(pcm, "mpegts", "aac", mpegts_flags="resend_headers")
        cut = [188 * (len(whole) // 188 * n // each) for n in range(each + 1)]
        return b"", [whole[start:end] for start, end in pairwise(cut)]
    whole = encode(pcm, "mp4", "aac", movflags="empty_moov+default_base_moof", frag_duration=str(round(each_s * 1e6)))
    starts = [at for at, kind in _boxes(whole) if kind == b"moof"]
    ends = [*starts[1:], next((at for at, kind in _boxes(whole) if kind == b"mfra"), len(whole))]
    return whole[: starts[0]], [whole[start:end] for start, end in zip(starts, ends, strict=True)]


def _boxes(whole: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(whole):
        yield at, whole[at + 4 : at + 8]
        at += int.from_bytes(whole[at : at + 4], "big")


def playlist(urls: list[str], *, first: int = 0, ended: bool = True, head: str = "", target_s: float = 2) -> str:
    """Spell a playlist of segments."""
    lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{target_s}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    lines += [f'#EXT-X-MAP:URI="{head}"'] if head else []
    lines += [line for url in urls for line in (f"#EXTINF:{target_s},", url)]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else [])])
