"""The README's commands, run as they stand against a real service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scribewire.assets import sample_text

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [text for kind, text in BLOCKS if kind == "sh"]
PROGRAMS = {text.split()[1]: text for kind, text in BLOCKS if kind in ("python", "js")}
SETUP = next(text for text in SHELL if text.startswith("source"))
EXPORTS = "".join(line + "\n" for line in SETUP.splitlines() if line.startswith("export"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout with a home beside it, in which a service runs; gives the checkout."""
    home = tmp_path_factory.mktemp("home")
    checkout = home / "scribewire"
    checkout.mkdir()
    (checkout / "src").symlink_to(ROOT / "src")
    (checkout / ".venv").symlink_to(sys.prefix)
    for name, text in PROGRAMS.items():
        (checkout / name).write_text(text)
    with (home / "serve.log").open("wb") as log:
        command = [sys.executable, "-m", "scribewire", "serve", "--port", "0"]
        service = subprocess.Popen(command, env=variables(home), stdout=log, stderr=log)
    try:
        served = home / ".local" / "share" / "scribewire" / "serve.json"
        deadline = time.monotonic() + 30
        while not served.exists():
            assert service.poll() is None, (home / "serve.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (home / "url").write_text(json.loads(served.read_text())["url"])
        yield checkout
    finally:
        service.terminate()
        service.wait(30)


def variables(home: Path) -> dict[str, str]:
    ours = ("SCRIBEWIRE_", "XDG_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {"HOME": str(home), "NO_COLOR": "1"}


def run(script: str, folder: Path) -> str:
    """Run a shell script in the checkout, and give what it printed."""
    home = folder.parent
    script = script.replace("http://127.0.0.1:8000", (home / "url").read_text())
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=variables(home),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def share_right(text: str) -> float:
    """Give the share of the sample's words that are there, whatever their order."""
    spoken, heard = sample_text().split(), text.split()
    return sum(word in heard for word in spoken) / len(spoken)


def test_it_opens_with_the_two_commands() -> None:
    assert SHELL[0] == "make demo\nmake test\n"


@pytest.mark.parametrize("line", [line for text in SHELL for line in text.splitlines() if line.startswith("make ")])
def test_every_make_command_is_a_target(line: str) -> None:
    target = line.split()[1]
    assert re.search(rf"^{target}: ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_block_is_run_by_a_test_here() -> None:
    run_here = ("make", "source", "curl", "scribewire keys", "python", "node")
    assert [text for text in SHELL if not text.startswith(run_here)] == []


def test_the_command_line(folder: Path) -> None:
    said = run(SETUP, folder)
    assert "scaled_down" in said
    assert "ready" in said
    assert share_right(said) >= 0.9


def test_the_keys(folder: Path) -> None:
    block = next(text for text in SHELL if text.startswith("scribewire keys"))
    assert "kitchen" in run(SETUP.splitlines()[0] + "\n" + EXPORTS + block, folder)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_calls(folder: Path) -> None:
    block = next(text for text in SHELL if text.startswith("curl"))
    said = run(EXPORTS + block.replace("\n", "\necho\n"), folder)
    initialized, status = map(json.loads, said.splitlines())
    expected = json.loads(next(text for kind, text in BLOCKS if kind == "json"))
    assert initialized["ready"] is True
    assert status == {**expected, "endpoint": status["endpoint"]}


def test_the_python_program(folder: Path) -> None:
    assert share_right(run(SETUP.splitlines()[0] + "\n" + EXPORTS + "python transcribe.py", folder)) >= 0.9


def node_options() -> str | None:
    """Give what this machine's Node.js takes to have a WebSocket, or None when it has none."""
    for option in ("", "--experimental-websocket"):
        check = ["node", *filter(None, [option]), "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"]
        if shutil.which("node") and subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return option
    return None


@pytest.mark.skipif(node_options() is None, reason="no Node.js with WebSocket here")
def test_the_javascript_program(folder: Path) -> None:
    assert share_right(run(EXPORTS + f"node {node_options()} transcribe.mjs", folder)) >= 0.9
