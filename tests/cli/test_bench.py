"""The load generator as a command: what it prints, writes and answers, however a run ends."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from scribewire.bench import plot
from scribewire.errors import ExtraMissing, NotAuthenticated
from tests.bench.test_load import refuse, speak, vanish
from tests.cli.run import Ran, run, spawn
from tests.client.fake_service import READY, SCALED_DOWN, Answer, FakeService, running

pytestmark = pytest.mark.e2e

STATUS = "GET /api/v4/realtime/status"
INITIALIZE = "POST /api/v4/realtime/initialize"
UP: dict[str, Answer] = {STATUS: (200, READY), INITIALIZE: (200, READY)}
SHORT = ("--sessions", "2", "--seconds", "1", "--warm-up", "0.2", "--tones")


def service_of(talk: Callable[[FakeService, ServerConnection], Awaitable[None]]) -> FakeService:
    async def script(connection: ServerConnection) -> None:
        await talk(service, connection)

    service = FakeService(script, dict(UP))
    return service


async def bench(service: FakeService, folder: Path, *arguments: str) -> Ran:
    async with running(service):
        return await run("bench", *arguments, data_dir=folder, SCRIBEWIRE_URL=service.url, SCRIBEWIRE_KEY="k")


async def test_a_run_prints_its_figures_and_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ran = await bench(service_of(speak), tmp_path, *SHORT, "--json", str(file))
    assert ran.code == 0, ran.err
    assert "2 sessions, 1 s with all of them live" in ran.out
    assert "lag of partials" in ran.out
    assert "ms of CPU a second and session" in ran.out
    figures = json.loads(file.read_text())["figures"]
    assert (figures["completed"], figures["refused"], figures["failures"]) == (2, 0, [])


async def test_a_search_prints_its_probes_and_its_answer(tmp_path: Path) -> None:
    # It speaks while no more than three do.
    live = 0

    async def speak_to_three(service: FakeService, connection: ServerConnection) -> None:
        nonlocal live
        live += 1
        try:
            await (speak_on if live <= 3 else refuse)(service, connection)
        finally:
            live -= 1

    ran = await bench(service_of(speak_to_three), tmp_path, *SHORT, "--find-capacity")
    assert ran.code == 0, ran.err
    assert re.search(r"\d sessions: sessions refused", ran.err)
    # Which number that is, its own tests know; here a machine that is busy may hold fewer.
    assert re.fullmatch(r"\d sessions .*holds?; \d do not: .*", ran.out.splitlines()[-1])


async def speak_on(service: FakeService, connection: ServerConnection) -> None:
    """Answer every frame with a partial, to the end."""
    await service.hear(connection)
    await connection.send('{"state":"listening","session_id":"s1"}')
    heard_ms = 0
    while isinstance(await connection.recv(), bytes):
        heard_ms += 100
        await connection.send(json.dumps({"text": "alfa", "is_final": False, "offset_ms": heard_ms, "stability": 1.0}))
    await connection.send('{"state":"stopped"}')


async def test_refused_sessions_are_a_finding_told_in_a_sentence(tmp_path: Path) -> None:
    ran = await bench(service_of(refuse), tmp_path, *SHORT)
    assert ran.code == 1
    assert "2 × at_capacity: All recognisers are busy. Try again shortly." in ran.err


async def test_a_service_that_stops_in_mid_run_is_told_with_the_figures_so_far(tmp_path: Path) -> None:
    ran = await bench(service_of(vanish), tmp_path, *SHORT)
    assert ran.code == 1
    assert "2 × disconnected: The connection closed before the end of the session." in ran.err
    assert "completed, refused, failed" in ran.out


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({INITIALIZE: (401, {"detail": "Not authenticated"})}, NotAuthenticated.sentence),
        (
            {INITIALIZE: (403, {"detail": "Not enough permissions"}), STATUS: (200, SCALED_DOWN)},
            "Realtime service is scaled down. Call /initialize to start it.",
        ),
        ({INITIALIZE: (503, {"detail": "Realtime service failed to start"})}, "Realtime service failed to start"),
    ],
)
async def test_a_service_that_is_not_ready_is_told_before_any_session(
    answers: dict[str, Answer], sentence: str, tmp_path: Path
) -> None:
    service = service_of(speak)
    service.answers |= answers
    ran = await bench(service, tmp_path, *SHORT)
    assert (ran.code, ran.out) == (1, "")
    assert f"error: {sentence}" in ran.err
    assert service.upgrades == []


async def test_a_service_that_does_not_answer_is_told(tmp_path: Path) -> None:
    ran = await run("bench", "--url", "http://127.0.0.1:9", "--key", "k", data_dir=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert "error: Nothing answers at http://127.0.0.1:9." in ran.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--json", "/nowhere/there/file.json"), "/nowhere/there is not a folder."),
        (("missing.wav",), "missing.wav cannot be read: No such file or directory."),
    ],
)
async def test_what_cannot_be_read_or_written_is_told_before_any_session(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    ran = await run("bench", *arguments, data_dir=tmp_path, SCRIBEWIRE_KEY="k")
    assert (ran.code, ran.out) == (1, "")
    assert f"error: {sentence}" in ran.err


async def test_ctrl_c_stops_the_sessions_in_order_and_shows_the_figures(tmp_path: Path) -> None:
    service = service_of(speak_on)
    async with running(service):
        process = await spawn(
            *("bench", "--sessions", "2", "--seconds", "60", "--warm-up", "0.2"),
            data_dir=tmp_path,
            variables={"SCRIBEWIRE_URL": service.url, "SCRIBEWIRE_KEY": "k"},
        )
        async with asyncio.timeout(30):
            while len(service.upgrades) < 2 or len(service.said) < 2:
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    assert process.returncode == 130, err
    assert b"Interrupted: these are the figures up to then." in err
    assert b"2, 0, 0" in out


async def test_a_terminal_sees_a_table_that_moves(tmp_path: Path) -> None:
    service = service_of(speak_on)
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    async with running(service):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "scribewire", "bench", *SHORT, "--url", service.url, "--key", "k"),
            env={**os.environ, "SCRIBEWIRE_DATA_DIR": str(tmp_path), "TERM": "xterm", "COLUMNS": "120"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        async with asyncio.timeout(30):
            while process.returncode is None:
                await asyncio.sleep(0.05)
                try:
                    seen += os.read(ours, 65_536)
                except (BlockingIOError, OSError):
                    continue
    os.close(ours)
    assert process.returncode == 0
    assert b"sessions live" in seen
    assert b"2 of 2" in seen


def test_a_plot_without_its_extra_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    with pytest.raises(ExtraMissing, match=r"pip install 'scribewire\[bench\]'"):
        plot.require_matplotlib()
