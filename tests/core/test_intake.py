"""Intake: what is audio, whatever it is wrapped in and however it is cut."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.core.intake import Intake
from scribewire.errors import UnsupportedAudio

PCM = bytes(range(1, 41))
PIPE = b"\xff\xff\xff\xff"  # the size that an encoder declares when it does not know


def chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def format_body(*, tag: int = 1, channels: int = 1, rate_hz: int = 16_000, bits: int = 16) -> bytes:
    frame_bytes = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits)


def wav(*chunks: bytes, magic: bytes = b"RIFF") -> bytes:
    return magic + PIPE + b"WAVE" + b"".join(chunks) + b"data" + PIPE


FMT = chunk(b"fmt ", format_body())
EXTENSIBLE = format_body(tag=0xFFFE) + struct.pack("<HHI", 22, 16, 4) + b"\1\0" + b"\0" * 14
HEADERS = {
    "none": b"",
    "plain": wav(FMT),
    "an encoder's": wav(FMT, chunk(b"LIST", b"INFOISFT\x0e\0\0\0Lavf60.16.100\0")),
    "a chunk of odd length before the format": wav(chunk(b"junk", b"abc"), FMT),
    "extensible": wav(chunk(b"fmt ", EXTENSIBLE)),
    "RF64": wav(chunk(b"ds64", b"\0" * 28), FMT, magic=b"RF64"),
    "a longer format": wav(chunk(b"fmt ", format_body() + b"\0\0")),
}


def through(frames: list[bytes]) -> bytes:
    intake = Intake()
    return b"".join([*map(intake.push, frames), intake.end()])


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_is_passed_however_it_is_split_in_two(header: bytes) -> None:
    sent = header + PCM
    for at in range(len(sent) + 1):
        assert through([sent[:at], sent[at:]]) == PCM


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_is_passed_byte_by_byte(header: bytes) -> None:
    assert through([bytes([byte]) for byte in header + PCM]) == PCM


@settings(max_examples=30)
@given(st.sampled_from(sorted(HEADERS.values())), st.binary(max_size=200), st.lists(st.integers(0, 400)))
def test_framing_changes_nothing(header: bytes, pcm: bytes, cuts: list[int]) -> None:
    sent = header + pcm
    edges = sorted([0, len(sent), *(cut for cut in cuts if cut < len(sent))])
    assert through([sent[a:b] for a, b in pairwise(edges)]) == through([sent])


@settings(max_examples=30)
@given(st.binary(max_size=200).filter(lambda pcm: not pcm.startswith((b"RIFF", b"RF64"))))
def test_bare_audio_loses_nothing_but_a_last_odd_byte(pcm: bytes) -> None:
    assert through([pcm]) == pcm[: len(pcm) // 2 * 2]


@pytest.mark.parametrize("start", [b"RIFF", b"R", b"RIFF1234WAV", b"RF64\0\0"])
def test_what_only_could_have_been_a_header_is_audio(start: bytes) -> None:
    assert through([start]) == start[: len(start) // 2 * 2]


def test_a_riff_of_another_kind_is_audio() -> None:
    assert through([b"RIFF1234AVI " + PCM]) == b"RIFF1234AVI " + PCM


@pytest.mark.parametrize("kept", range(12, len(HEADERS["plain"]) + 1))
def test_a_header_cut_short_is_no_audio(kept: int) -> None:
    assert through([HEADERS["plain"][:kept]]) == b""


def test_audio_is_given_as_soon_as_it_is_certain() -> None:
    intake = Intake()
    assert [intake.push(part) for part in (b"RI", b"xx", b"a", b"bc")] == [b"", b"RIxx", b"", b"ab"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (format_body(rate_hz=8_000), "16-bit PCM, 8000 Hz, 1 channel"),
        (format_body(rate_hz=48_000, channels=2), "16-bit PCM, 48000 Hz, 2 channel"),
        (format_body(bits=8), "8-bit PCM"),
        (format_body(tag=3, bits=32), "32-bit format 3"),
        (format_body(tag=7, bits=8), "8-bit format 7"),
        (EXTENSIBLE.replace(b"\1\0" + b"\0" * 14, b"\3\0" + b"\0" * 14), "format 3"),
        (b"\1\0\1\0", "too short"),
    ],
)
def test_audio_in_another_format_is_refused_by_name(body: bytes, sentence: str) -> None:
    with pytest.raises(UnsupportedAudio, match=sentence):
        Intake().push(wav(chunk(b"fmt ", body)) + PCM)


def test_a_header_without_a_format_is_refused() -> None:
    with pytest.raises(UnsupportedAudio, match="no format"):
        Intake().push(wav() + PCM)


def test_a_header_without_end_is_refused() -> None:
    with pytest.raises(UnsupportedAudio, match="too long"):
        Intake().push(b"RIFF" + PIPE + b"WAVEjunk" + PIPE)
