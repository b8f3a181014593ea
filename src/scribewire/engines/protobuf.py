"""Reads and writes protobuf messages field by field, without a schema; of files that may be huge, the few we want."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from typing import BinaryIO, Final

# Wire types: https://protobuf.dev/programming-guides/encoding/
_VARINT: Final = 0
_DELIMITED: Final = 2
_FIXED_BYTES: Final = {1: 8, 5: 4}
_LONGEST_VARINT_BYTES: Final = 10


def read_fields(file: BinaryIO, wanted: Container[int]) -> Iterator[tuple[int, bytes]]:
    """Give number and content of each wanted field, passing over all others unread. Varints are never given.

    Raises ValueError when the file holds no message or ends within one.
    """
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    while file.tell() < size_bytes:
        key = _read_varint(file)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            _read_varint(file)
            continue
        length_bytes = _read_varint(file) if kind == _DELIMITED else _FIXED_BYTES.get(kind)
        if length_bytes is None or file.tell() + length_bytes > size_bytes:
            raise ValueError("not a whole message")
        if number in wanted:
            yield number, file.read(length_bytes)
        else:
            file.seek(length_bytes, os.SEEK_CUR)


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for at in range(_LONGEST_VARINT_BYTES):
        if not (byte := file.read(1)):
            break
        value |= (byte[0] & 0x7F) << (7 * at)
        if byte[0] < 0x80:
            return value
    raise ValueError("not a whole message")


def write_field(number: int, value: int | str | bytes) -> bytes:
    """Give one field: a varint of a number that is not negative, else text, bytes or a message."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    assert value >= 0, "a negative number takes ten bytes, and nobody needs one"
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
