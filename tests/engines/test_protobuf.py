"""Fields are found in any message, and what is no message is told."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire.engines.protobuf import read_fields, write_field

# 1: varint 300; 2: "ab"; 3: fixed 32; 2: "c"; 4: fixed 64.
MESSAGE = b"\x08\xac\x02" + b"\x12\x02ab" + b"\x1d\x01\x02\x03\x04" + b"\x12\x01c" + b"\x21" + bytes(8)


def test_wanted_fields_come_in_order_and_all_others_are_passed_over() -> None:
    assert list(read_fields(io.BytesIO(MESSAGE), (2, 3))) == [(2, b"ab"), (3, b"\x01\x02\x03\x04"), (2, b"c")]
    assert list(read_fields(io.BytesIO(MESSAGE), ())) == []
    assert list(read_fields(io.BytesIO(b""), (1,))) == []


@pytest.mark.parametrize("end", [1, 2, 4, 5, 6, 9, 11, 14, 20])
def test_a_message_that_ends_early_is_none(end: int) -> None:
    with pytest.raises(ValueError, match="not a whole message"):
        list(read_fields(io.BytesIO(MESSAGE[:end]), ()))


@pytest.mark.parametrize("garbage", [b"\xff" * 12, b"\x0b", b"version https://git-lfs.github.com/spec/v1\n"])
def test_what_is_no_message_is_told(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="not a whole message"):
        list(read_fields(io.BytesIO(garbage), ()))


def test_what_is_written_is_what_the_format_says() -> None:
    assert write_field(1, 300) + write_field(2, "ab") + write_field(2, b"c") == b"\x08\xac\x02\x12\x02ab\x12\x01c"
    assert write_field(20, 5) == b"\xa0\x01\x05"


@given(st.lists(st.tuples(st.integers(1, 2**20), st.binary(max_size=300))))
def test_what_is_written_is_read(fields: list[tuple[int, bytes]]) -> None:
    message = b"".join(write_field(number, content) for number, content in fields)

    assert list(read_fields(io.BytesIO(message), {number for number, _ in fields})) == fields
