"""What a worker, its nursery and its lanes say to each other: MessagePack behind a length, on Unix stream sockets."""

from __future__ import annotations

import socket
import struct
from typing import Final

import msgspec

from scribewire.engines.base import Device, Options
from scribewire.worker.quanta import Decoded, Quantum

_LENGTH: Final = struct.Struct(">I")


class Begin(msgspec.Struct, frozen=True, tag=True):
    """To the nursery, first: how log lines are written, by it and by its lanes, and what engines are built from."""

    log_format: str
    log_level: str
    models_dir: str
    device: Device


class LoadEngine(msgspec.Struct, frozen=True, tag=True):
    """To the nursery: load this choice, and say Loaded."""

    choice: str


class ForkLane(msgspec.Struct, frozen=True, tag=True):
    """To the nursery: fork a lane for a loaded choice. Its end of a socket travels with this."""

    choice: str


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """From the nursery: the choice is loaded, unless `code` and `sentence` say why not."""

    choice: str
    code: str = ""
    sentence: str = ""


class Born(msgspec.Struct, frozen=True, tag=True):
    """From a lane: it waits for work."""

    pid: int


class OpenStream(msgspec.Struct, frozen=True, tag=True):
    """To a lane: what follows is of a new stream, at this state."""

    resume: bytes
    options: Options


ToNursery = Begin | LoadEngine | ForkLane
ToLane = OpenStream | Quantum
Answer = Loaded | Born | Decoded

_ENCODER: Final = msgspec.msgpack.Encoder()
TO_NURSERY: Final[msgspec.msgpack.Decoder[ToNursery]] = msgspec.msgpack.Decoder(ToNursery)
TO_LANE: Final[msgspec.msgpack.Decoder[ToLane]] = msgspec.msgpack.Decoder(ToLane)
ANSWER: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)


def spell(message: msgspec.Struct) -> bytes:
    """Give the bytes of a message."""
    body = _ENCODER.encode(message)
    return _LENGTH.pack(len(body)) + body


def receive_body(sock: socket.socket) -> tuple[bytes, int | None]:
    """Wait for a whole message, blocking; give its body, and the descriptor that came with it.

    Raises EOFError when the other side is gone.
    """
    head, descriptors, _, _ = socket.recv_fds(sock, _LENGTH.size, 1)
    head += _receive_exactly(sock, _LENGTH.size - len(head))
    [length] = _LENGTH.unpack(head)
    return _receive_exactly(sock, length), descriptors[0] if descriptors else None


def _receive_exactly(sock: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = sock.recv(length - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


class AnswerReader:
    """Cuts what a nursery or a lane says back into answers. Holds at most one unfinished answer."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[Answer]:
        """Give the answers that `chunk` completes, in order. Raises msgspec.DecodeError on what is none."""
        rest = self._rest
        rest += chunk
        answers: list[Answer] = []
        while len(rest) >= _LENGTH.size:
            [length] = _LENGTH.unpack_from(rest)
            if len(rest) < _LENGTH.size + length:
                break
            answers.append(ANSWER.decode(bytes(rest[_LENGTH.size : _LENGTH.size + length])))
            del rest[: _LENGTH.size + length]
        return answers
