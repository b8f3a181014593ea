"""What `mic` does with a sound system that a test makes, and without one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.run import run
from tests.cli.screen import on_terminal
from tests.cli.speaking import SECOND, SPEECH, ask, speaking

pytestmark = pytest.mark.e2e

SOUNDDEVICE = """
class PortAudioError(Exception): pass
class default: device = (1, 0)
def query_devices():
    return [{"name": "Speaker", "max_input_channels": 0}, {"name": "Desk [2]", "max_input_channels": 1}]
class RawInputStream:
    def __init__(self, *, callback, device, **format):
        self.callback, self.device = callback, device
    def __enter__(self): self.callback(bytes(192_000), 96_000, None, None)
    def __exit__(self, *error): pass
"""


@pytest.fixture
def sound(tmp_path: Path) -> dict[str, str]:
    """A sound system with one microphone, which gives six seconds at once; as variables of a command."""
    (tmp_path / "sounddevice.py").write_text(SOUNDDEVICE)
    return {"PYTHONPATH": str(tmp_path)}


async def test_mic_transcribes_until_ctrl_c(tmp_path: Path, sound: dict[str, str]) -> None:
    async with (
        speaking() as service,
        on_terminal("mic", *ask(service)[1:], data_dir=tmp_path, variables=sound) as terminal,
    ):
        await terminal.until(lambda rows: bool(rows and rows[-1].startswith("● 0:06")))
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.end() == 130
        assert SECOND in await terminal.until(lambda rows: SECOND in rows)
    assert service.audio == SPEECH


async def test_mic_lists_the_input_devices(tmp_path: Path, sound: dict[str, str]) -> None:
    ran = await run("mic", "--list-devices", data_dir=tmp_path, PYTHONPATH=sound["PYTHONPATH"])
    assert [row.split() for row in ran.out.splitlines()] == [["number", "name"], ["1", "Desk", "[2]", "default"]]


@pytest.mark.parametrize("option", [(), ("--list-devices",)])
@pytest.mark.parametrize(
    ("broken", "remedy"),
    [("ModuleNotFoundError(name='sounddevice')", "pip install 'scribewire[mic]'"), ("OSError()", "PortAudio")],
)
async def test_without_a_sound_library_mic_says_what_to_install(
    tmp_path: Path, option: tuple[str, ...], broken: str, remedy: str
) -> None:
    (tmp_path / "sounddevice.py").write_text(f"raise {broken}")
    ran = await run("mic", "--key", "k", *option, data_dir=tmp_path, PYTHONPATH=str(tmp_path))
    assert ran.code == 1
    assert ran.err.startswith("error: The microphone needs ")
    assert remedy in ran.err
