"""Captions of real speech from the real service, as the documentation shows them."""

from __future__ import annotations

import re
from pathlib import Path

import av
import pytest

from scribewire.assets import sample_text
from service import Service
from tests.cli.run import run

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "captions.md").read_text(encoding="utf-8")


async def caption(service: Service, folder: Path, *arguments: str) -> None:
    """Run `scribewire` with these arguments in the checkout, its files put into the folder."""
    ran = await run(*arguments, data_dir=folder, SCRIBEWIRE_URL=service.url, SCRIBEWIRE_KEY=service.key)
    assert ran.code == 0, ran.err


async def test_the_documented_command_makes_the_documented_captions(service: Service, tmp_path: Path) -> None:
    command = re.search(r"^scribewire (transcribe .*)$", PAGE, re.MULTILINE)
    shown = re.search(r"^```srt\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert command
    assert shown
    arguments = command[1].replace("src/", f"{ROOT}/src/").replace("sample.srt", str(tmp_path / "sample.srt"))
    await caption(service, tmp_path, *arguments.split())
    assert (tmp_path / "sample.srt").read_text() == shown[1] + "\n"


@pytest.mark.parametrize("name", ["sample.srt", "sample.vtt"])
async def test_players_read_the_captions(service: Service, tmp_path: Path, name: str) -> None:
    sample = str(ROOT / "src" / "scribewire" / "assets" / "sample.wav")
    await caption(service, tmp_path, "transcribe", sample, "-o", str(tmp_path / name))
    with av.open(str(tmp_path / name)) as file:
        cues = [bytes(packet).decode() for packet in file.demux() if packet.size]
    assert " ".join(cues).split() == sample_text().split()
