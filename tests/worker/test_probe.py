"""The probe of a container, against real workers on TCP."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scribewire.settings import EnginesSettings, LanguageSettings, Settings, WorkerSettings
from tests.scalers.kube.access import make_certificate
from tests.scalers.kube.node import free_port
from tests.worker.gateway import WAIT_S, WorkerProcess, scripted, start_worker

pytestmark = pytest.mark.e2e

SECRET = "a secret of this test"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Callable[[Settings], WorkerProcess]]:
    started: list[WorkerProcess] = []

    def start_one(settings: Settings) -> WorkerProcess:
        started.append(start_worker(tmp_path, settings, listen=f"tcp:0.0.0.0:{port}", alone=True))
        return started[-1]

    yield start_one
    for worker in started:
        worker.close()


def probe(port: int, *options: str, secret: str = SECRET, certificate: str = "") -> tuple[int, str]:
    """Run it, and give its exit status and what it said."""
    given = {"SCRIBEWIRE_WORKER__SECRET": secret, "SCRIBEWIRE_WORKER__CERTIFICATE": certificate}
    ran = subprocess.run(
        [sys.executable, "-m", "scribewire.worker.probe", str(port), *options],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    return ran.returncode, ran.stderr


def wait_for(port: int, *options: str, certificate: str = "") -> None:
    deadline = time.monotonic() + WAIT_S
    while probe(port, *options, certificate=certificate)[0]:
        assert time.monotonic() < deadline


def test_a_worker_that_serves_is_ready(start: Callable[[Settings], WorkerProcess], port: int) -> None:
    worker = start(scripted("words", worker=WorkerSettings(secret=SECRET)))
    wait_for(port, "--ready")
    assert probe(port, secret="another")[0] == 1
    worker.process.terminate()
    worker.process.wait(WAIT_S)
    assert probe(port)[0] == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, for a certificate")
def test_a_worker_that_speaks_tls_is_asked_over_tls(
    start: Callable[[Settings], WorkerProcess], port: int, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    key = str(certificate.parent / "key.pem")
    start(scripted("words", worker=WorkerSettings(secret=SECRET, certificate=str(certificate), certificate_key=key)))
    wait_for(port, "--ready", certificate=str(certificate))
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
