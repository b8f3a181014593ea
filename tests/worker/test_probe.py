"""The probe of a container, against real workers on TCP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scribewire.settings import EnginesSettings, LanguageSettings, Settings, WorkerSettings
from tests.worker.gateway import WAIT_S, WorkerProcess, scripted, start_worker

pytestmark = pytest.mark.e2e

SECRET = "a secret of this test"


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Callable[[Settings], WorkerProcess]]:
    started: list[WorkerProcess] = []

    def start_one(settings: Settings) -> WorkerProcess:
        started.append(start_worker(tmp_path, settings, listen=f"tcp:0.0.0.0:{port}", alone=True))
        return started[-1]

    yield start_one
    for worker in started:
        worker.close()


def probe(port: int, *options: str, secret: str = SECRET) -> tuple[int, str]:
    """Run it, and give its exit status and what it said."""
    ran = subprocess.run(
        [sys.executable, "-m", "scribewire.worker.probe", str(port), *options],
        env={**os.environ, "SCRIBEWIRE_WORKER__SECRET": secret},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    return ran.returncode, ran.stderr


def wait_for(port: int, *options: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while probe(port, *options)[0]:
        assert time.monotonic() < deadline


def test_a_worker_that_serves_is_ready(start: Callable[[Settings], WorkerProcess], port: int) -> None:
    worker = start(scripted("words", worker=WorkerSettings(secret=SECRET)))
    wait_for(port, "--ready")
    assert probe(port, secret="another")[0] == 1
    worker.process.terminate()
    worker.process.wait(WAIT_S)
    assert probe(port)[0] == 1


def test_a_worker_without_its_engine_answers_and_is_not_ready(
    start: Callable[[Settings], WorkerProcess], port: int
) -> None:
    engines = EnginesSettings(languages={"en": LanguageSettings(fast="no-such-engine:x")})
    start(Settings(engines=engines, worker=WorkerSettings(secret=SECRET)))
    wait_for(port)
    status, said = probe(port, "--ready")
    assert (status, "no-such-engine" in said) == (1, True)


def test_a_port_that_only_accepts_is_no_worker(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as mute:
        hang_up = threading.Thread(target=lambda: mute.accept()[0].close())
        hang_up.start()
        status, said = probe(port)
        hang_up.join(WAIT_S)
    assert (status, "does not answer" in said) == (1, True)
