"""What gateway and worker say to each other: typed frames, and their framing on one byte stream.

A frame is `length: u32 big-endian | kind: u8 | body`; `length` counts kind and body. The body is a MessagePack array of
the frame's fields in order; of an Audio frame it is `stream: u32 big-endian | pcm`, so that audio is never repacked.

The gateway speaks first (Hello); the worker answers Welcome, or closes. After that either side may say anything at any
time, and says at least one frame every BEAT_S, so that silence means death.
"""

from __future__ import annotations

import struct
from typing import Final as Constant

import msgspec

from scribewire.errors import LinkBroken

VERSION: Constant = 1
MAX_FRAME_BYTES: Constant = 256 * 1024
# One Audio frame carries at most a second, so that a burst of one stream does not stand before the others' frames.
MAX_AUDIO_BYTES: Constant = 32_000
# A stream may have this much audio sent and not yet consumed; it bounds what either side ever holds of it.
WINDOW_S: Constant = 4.0
BEAT_S: Constant = 0.4
# Declared lost after this much silence. Below the promise of 2 s by the time it takes to notice.
LOST_AFTER_S: Constant = 1.4

_HEAD: Constant = struct.Struct(">IB")
_AUDIO_HEAD: Constant = struct.Struct(">IBI")


class Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=False):
    """A thing said on the link."""


# --- gateway to worker -----------------------------------------------------------------------------------------------


class Hello(Frame, frozen=True):
    """Who calls, and in which version. `secret` is checked on TCP."""

    version: int
    gateway: str
    secret: str = ""


class Open(Frame, frozen=True):
    """Give me a slot. `resume` is what Settled or Final carried, empty at the start."""

    stream: int
    session: str
    language: str
    type: str
    first_sample: int
    partial: bool
    actual_numbers: bool
    resume: bytes
    vocabulary: tuple[str, ...] = ()


class Audio(Frame, frozen=True):
    """Audio that follows what was sent before: s16le, 16 kHz, mono, whole samples."""

    stream: int
    pcm: bytes


class Flush(Frame, frozen=True):
    """End the open segment here; answered by Flushed."""

    stream: int
    mark: int


class Finish(Frame, frozen=True):
    """No more audio; answered by Finished after the last final."""

    stream: int


class Abort(Frame, frozen=True):
    """Forget the stream; not answered."""

    stream: int


class Drain(Frame, frozen=True):
    """Take no more streams, and end with the last; answered by Draining."""


class Beat(Frame, frozen=True):
    """The gateway lives."""


# --- worker to gateway -----------------------------------------------------------------------------------------------


class Welcome(Frame, frozen=True):
    """The link stands."""

    version: int
    worker: str
    pid: int


class Opened(Frame, frozen=True):
    """The slot is yours."""

    stream: int


class Refused(Frame, frozen=True):
    """No slot for it; `code` is an error's code."""

    stream: int
    code: str
    sentence: str


class PartialResult(Frame, frozen=True):
    """The open segment so far, decoded up to `sample`."""

    stream: int
    text: str
    sample: int
    stability: float


class FinalResult(Frame, frozen=True):
    """A segment with words ended; nothing before `sample` will change."""

    stream: int
    words: tuple[tuple[str, int, int, float], ...]
    sample: int
    resume: bytes


class Settled(Frame, frozen=True):
    """Nothing before `sample` can change or become a word."""

    stream: int
    sample: int
    resume: bytes


class Consumed(Frame, frozen=True):
    """Everything before `sample` is decoded."""

    stream: int
    sample: int


class Flushed(Frame, frozen=True):
    """Every final that the flush caused has been given."""

    stream: int
    mark: int


class Finished(Frame, frozen=True):
    """All is decoded and given; the slot is free."""

    stream: int


class Broken(Frame, frozen=True):
    """The stream's decoder died; the slot is free."""

    stream: int
    reason: str


class Load(Frame, frozen=True):
    """How the worker is. `phase` is loading, ready, draining or failed; said on every change and as its beat."""

    phase: str
    slots: int
    live: int
    rtf: float
    lag_s: float
    cpu_s: float
    reason: str = ""
    memory_bytes: int = 0


class Draining(Frame, frozen=True):
    """Take your streams elsewhere; new ones are refused."""

    reason: str


_KINDS: Constant[tuple[type[Frame], ...]] = (
    Hello, Open, Audio, Flush, Finish, Abort, Beat,
    Welcome, Opened, Refused, PartialResult, FinalResult, Settled, Consumed, Flushed, Finished, Broken, Load, Draining,
    Drain,
)  # fmt: skip
_CODES: Constant = {kind: code for code, kind in enumerate(_KINDS, start=1)}
_DECODERS: Constant = {code: msgspec.msgpack.Decoder(kind) for kind, code in _CODES.items()}
_ENCODER: Constant = msgspec.msgpack.Encoder()
_AUDIO_CODE: Constant = _CODES[Audio]


def encode(frame: Frame) -> bytes:
    """Give the bytes of one frame.

    Raises LinkBroken when it would pass MAX_FRAME_BYTES.
    """
    if type(frame) is Audio:
        if len(frame.pcm) > MAX_AUDIO_BYTES:
            raise LinkBroken("An audio frame is too long for the link.")
        return _AUDIO_HEAD.pack(5 + len(frame.pcm), _AUDIO_CODE, frame.stream) + frame.pcm
    body = _ENCODER.encode(frame)
    if len(body) >= MAX_FRAME_BYTES:
        raise LinkBroken("A frame is too long for the link.")
    return _HEAD.pack(1 + len(body), _CODES[type(frame)]) + body


class FrameReader:
    """Cuts a byte stream back into frames. Holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[Frame]:
        """Give the frames that `chunk` completes, in order.

        Raises LinkBroken on a frame that is too long, of an unknown kind or malformed; nothing may be fed after that.
        """
        rest = self._rest
        rest += chunk
        frames: list[Frame] = []
        at = 0
        while len(rest) - at >= _HEAD.size:
            length, code = _HEAD.unpack_from(rest, at)
            if not 1 <= length <= MAX_FRAME_BYTES:
                raise LinkBroken("A frame of impossible length arrived on the link.")
            end = at + 4 + length
            if len(rest) < end:
                break
            frames.append(_decode(code, bytes(memoryview(rest)[at + 5 : end])))
            at = end
        del rest[:at]
        return frames


def _decode(code: int, body: bytes) -> Frame:
    if code == _AUDIO_CODE:
        if len(body) < 4 or len(body) % 2:
            raise LinkBroken("A malformed audio frame arrived on the link.")
        return Audio(int.from_bytes(body[:4], "big"), body[4:])
    decoder = _DECODERS.get(code)
    if decoder is None:
        raise LinkBroken("A frame of an unknown kind arrived on the link.")
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise LinkBroken("A malformed frame arrived on the link.") from error
