"""Audio from every kind of source, and a microphone that is missing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scribewire.client.sources import Microphone, Source, audio_of, is_live
from scribewire.errors import ExtraMissing, NotFound, ScribewireError
from tests.client.test_media import TONE, wav
from tests.speech import CLIPS, clips


async def read(source: Source) -> bytes:
    return b"".join([block async for block in audio_of(source)])


async def asynchronous() -> AsyncIterator[bytes]:
    yield TONE[:5]
    yield TONE[5:]


@pytest.mark.parametrize(
    "source", [TONE, bytearray(TONE), memoryview(TONE), [TONE[:5], TONE[5:]], iter([TONE]), asynchronous()], ids=type
)
async def test_pcm_comes_through_as_it_is(source: Source) -> None:
    assert await read(source) == TONE


async def test_a_path_and_the_bytes_of_its_file_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(TONE))
    assert await read(tmp_path / "a.wav") == await read(str(tmp_path / "a.wav")) == TONE
    flac = CLIPS / "rms-train.flac"
    assert await read(flac) == await read(flac.read_bytes()) == clips()["rms-train"].pcm()
    assert len(await read(wav(TONE, rate_hz=8_000))) == pytest.approx(2 * len(TONE), abs=200)


async def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await read(tmp_path / "none.wav")


class PortAudioError(Exception):
    """As the library's own."""


class SoundSystem(ModuleType):
    """What stands in for sounddevice: a device that gives some audio as soon as it is open."""

    PortAudioError = PortAudioError

    def __init__(self, audio: bytes, at_end: Callable[[], None]) -> None:
        super().__init__("sounddevice")
        self.audio = audio
        self.at_end = at_end

    def RawInputStream(
        self, *, device: object, callback: Callable[..., None], **_: Any
    ) -> AbstractContextManager[None]:
        """Open, as the library does, as far as it is used."""
        if device == "none":
            raise PortAudioError("no such device")
        return self._open(callback)

    @contextmanager
    def _open(self, callback: Callable[..., None]) -> Iterator[None]:
        for at in range(0, len(self.audio), 2000):
            callback(memoryview(self.audio[at : at + 2000]), 1, None, None)
        asyncio.get_running_loop().call_soon(self.at_end)
        yield


async def test_a_microphone_gives_what_is_spoken_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    microphone = Microphone()
    monkeypatch.setitem(sys.modules, "sounddevice", SoundSystem(TONE, microphone.close))
    assert is_live(microphone)
    assert not is_live(TONE)
    assert await read(microphone) == TONE
    with pytest.raises(ScribewireError, match="cannot be opened: no such device"):
        await read(Microphone("none"))


async def test_without_the_extra_a_microphone_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ExtraMissing, match=r"pip install 'scribewire\[mic\]'"):
        await read(Microphone())
