"""The demo as a newcomer runs it: the real service, a real worker, the real recogniser, and nothing left behind."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import psutil
import pytest

from tests.cli.run import run, spawn

pytestmark = pytest.mark.e2e


def leftovers(folder: Path) -> list[psutil.Process]:
    """Give the processes that were started with a temporary folder of this test."""
    return [p for p in psutil.process_iter(["cmdline"]) if any(str(folder) in part for part in p.info["cmdline"] or [])]


async def test_it_goes_from_zero_workers_to_text_and_leaves_nothing(tmp_path: Path) -> None:
    ran = await run("demo", data_dir=tmp_path, TMPDIR=str(tmp_path))
    assert ran.code == 0, ran.err
    assert "synthetic" in ran.out
    assert re.search(r"^status +scaled_down$", ran.out, re.MULTILINE)
    assert re.search(r"^initialize +ready after \d+\.\d\d s$", ran.out, re.MULTILINE)
    assert re.search(r"^first partial +\d+\.\d\d s after the first audio$", ran.out, re.MULTILINE)
    assert re.search(r"^last final +\d+\.\d\d s after stop$", ran.out, re.MULTILINE)
    share = re.search(r"^words right +\d+ of \d+ \((\d+)%\)$", ran.out, re.MULTILINE)
    assert share
    assert int(share[1]) >= 90
    assert ran.out.endswith("Everything is stopped.\n")
    assert list(tmp_path.iterdir()) == []
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_however_it_is_ended_no_process_stays(tmp_path: Path, number: signal.Signals) -> None:
    process = await spawn("demo", data_dir=tmp_path, variables={"TMPDIR": str(tmp_path)})
    assert process.stdout
    while b"initialize" not in await asyncio.wait_for(process.stdout.readline(), 60):
        pass
    assert leftovers(tmp_path)
    process.send_signal(number)
    await asyncio.wait_for(process.wait(), 40)
    _, alive = await asyncio.to_thread(psutil.wait_procs, leftovers(tmp_path), 30)
    assert alive == []
    assert process.returncode != 0
