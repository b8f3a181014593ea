"""Audio in every format that a client may send, made with PyAV from samples."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt

Int16 = npt.NDArray[np.int16]
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 16: "hexadecagonal"}


def tone(seconds: float, *, rate_hz: int, hz: float = 440.0, peak: float = 8000.0) -> Int16:
    """Give a sine."""
    samples: Int16 = np.rint(peak * np.sin(2 * np.pi * hz / rate_hz * np.arange(round(seconds * rate_hz)))).astype(
        np.int16
    )
    return samples


def frame_of(samples: Int16, *, rate_hz: int) -> av.AudioFrame:
    """Give samples (rows: time; columns, if any: channels) as one frame."""
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout_of(samples))
    frame.sample_rate = rate_hz
    return frame


def layout_of(samples: Int16) -> str:
    """Give the name of the layout of samples, as above."""
    return _LAYOUTS[1 if samples.ndim == 1 else samples.shape[1]]


def contained(samples: Int16, *, rate_hz: int, container: str, codec: str) -> bytes:
    """Give a container."""
    sink = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov"} if container == "mp4" else {}
    with av.open(sink, "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=rate_hz, layout=layout_of(samples))
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(
            format=stream.format, layout=stream.layout, rate=rate_hz, frame_size=stream.codec_context.frame_size or 960
        )
        for frame in [*resampler.resample(frame_of(samples, rate_hz=rate_hz)), *resampler.resample(None)]:
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return sink.getvalue()


def opus_packets(samples: Int16) -> Iterator[bytes]:
    """Give packets of 20 ms; the samples are of 48 kHz."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format = 48_000, "s16"
    encoder.layout = "mono" if samples.ndim == 1 else "stereo"
    fifo = av.AudioFifo()
    fifo.write(frame_of(samples, rate_hz=48_000))
    while (frame := fifo.read(960)) is not None:
        yield from map(bytes, encoder.encode(frame))
    yield from map(bytes, encoder.encode(None))


def wav(body: bytes, *, rate_hz: int, channels: int = 1, tag: int = 1, bits: int = 16) -> bytes:
    """Give a WAV as an encoder writes it into a pipe: of no declared length."""
    block = channels * bits // 8
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate_hz, rate_hz * block, block, bits)
    return b"RIFF\xff\xff\xff\xffWAVE" + fmt + b"data\xff\xff\xff\xff" + body
