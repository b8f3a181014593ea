"""The client's examples, run as they stand in the documentation against the fake service."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sdk_blocking
import sdk_dictation
import sdk_fake
import sdk_file
import sdk_microphone

from scribewire.client import Microphone
from scribewire.client.fake import KEY, Drop, FakeService, say
from tests.client.test_sources import SoundSystem

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "client.md").read_text(encoding="utf-8")
SPEECH = say("hello world") + say("how are you")


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeService]:
    """Run the fake service where the examples look for one; it drops the first session in the middle."""
    async with FakeService(faults=[Drop(after_bytes=len(SPEECH) // 2)]).running() as service:
        monkeypatch.setenv("SCRIBEWIRE_URL", service.url)
        monkeypatch.setenv("SCRIBEWIRE_KEY", KEY)
        yield service


def test_the_page_shows_the_files_as_they_are() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert blocks == [
        (DOCS / "examples" / f"sdk_{name}.py").read_text(encoding="utf-8")
        for name in ("file", "blocking", "microphone", "dictation", "fake")
    ]


async def test_a_file(service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.raw").write_bytes(SPEECH)
    await sdk_file.main(str(tmp_path / "a.raw"))
    printed = capsys.readouterr()
    assert printed.out == "   0.00  hello world\n   1.00  how are you\n"
    assert "ready" in printed.err
    assert "reconnected" in printed.err


async def test_without_a_loop(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    await asyncio.to_thread(sdk_blocking.main, io.BytesIO(SPEECH))
    assert capsys.readouterr().out == "hello world\nhow are you\n"


async def test_the_microphone(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    microphone = Microphone()
    monkeypatch.setitem(sys.modules, "sounddevice", SoundSystem(SPEECH, microphone.close))
    await sdk_microphone.main(microphone)
    assert capsys.readouterr().out.replace("\r", "\n").endswith("how are you\n")


async def test_dictation(service: FakeService) -> None:
    assert await sdk_dictation.main([say("hello world")[:20_000], say("how are you")]) == ["hello world", "how are you"]


@pytest.mark.parametrize("name", [name for name in dir(sdk_fake) if name.startswith("test_")])
async def test_the_fake(name: str) -> None:
    await getattr(sdk_fake, name)()
