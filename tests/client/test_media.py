"""Audio as the service takes it, from every kind of source."""

from __future__ import annotations

import io
import os
import struct
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from scribewire.client.media import read_audio
from scribewire.errors import ExtraMissing, NotFound, UnsupportedAudio
from tests.speech import CLIPS, clips

TONE = struct.pack("<8000h", *(((i * 37) % 2000) - 1000 for i in range(8000)))


def wav(pcm: bytes, *, rate_hz: int = 16_000, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm)
    return out.getvalue()


async def read(source: str) -> bytes:
    return b"".join([block async for block in read_audio(source)])


@pytest.mark.parametrize(("name", "content"), [("a.wav", wav(TONE)), ("a.raw", TONE), ("a", TONE), ("empty.raw", b"")])
async def test_wav_and_raw_pcm_come_through_as_they_are(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert await read(str(tmp_path / name)) == (TONE if content else b"")


async def test_another_rate_and_two_channels_are_converted(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(TONE, rate_hz=8_000, channels=2))
    assert len(await read(str(tmp_path / "a.wav"))) == pytest.approx(16_000, abs=200)


async def test_a_container_is_decoded() -> None:
    clip = clips()["rms-train"]
    assert await read(str(CLIPS / "rms-train.flac")) == clip.pcm()


@pytest.mark.parametrize("write_by", [1, 33, 4096])
@pytest.mark.parametrize("make", [lambda: TONE, lambda: wav(TONE)])
async def test_a_pipe_gives_the_same_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes], write_by: int
) -> None:
    content = make()[: 40 * write_by + 100]
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as pipe, os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        for at in range(0, len(content), write_by):
            pipe.write(content[at : at + write_by])
        pipe.close()
        expected = content[44:] if content.startswith(b"RIFF") else content
        assert await read("-") == expected[: len(expected) // 2 * 2]


async def test_what_is_no_audio_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"not music" * 100)
    with pytest.raises(UnsupportedAudio, match=r"a\.mp3 cannot be decoded"):
        await read(str(tmp_path / "a.mp3"))


async def test_a_missing_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read: No such file or directory"):
        await read(str(tmp_path / "none.wav"))


async def test_a_container_without_pyav_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraMissing, match=r"scribewire\[media\]"):
        await read(str(CLIPS / "rms-train.flac"))
