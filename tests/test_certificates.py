"""The link over TCP may be TLS: a worker is known by its certificate, and what cannot be used is told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scribewire.certificates import serving, trusting
from scribewire.errors import BadSettings, LinkBroken
from scribewire.gateway.link import connect
from scribewire.settings import WorkerSettings
from tests.scalers.kube.access import make_certificate
from tests.scalers.kube.node import free_port
from tests.worker.gateway import WorkerProcess, scripted, start_worker

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, for a certificate")
WAIT_S = 15.0


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.fixture
def worker(tmp_path: Path, certificate: Path) -> Iterator[tuple[WorkerProcess, str]]:
    key = str(certificate.parent / "key.pem")
    settings = scripted("words", worker=WorkerSettings(secret="s", certificate=str(certificate), certificate_key=key))
    address = f"tcp:127.0.0.1:{free_port()}"
    process = start_worker(tmp_path, settings, listen=address)
    yield process, address
    process.close()


@pytest.mark.e2e
async def test_a_worker_is_called_over_tls_by_who_knows_its_certificate(
    worker: tuple[WorkerProcess, str], certificate: Path, tmp_path: Path
) -> None:
    tls = trusting(str(certificate))
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                link = await connect("w1", worker[1], gateway="tests", secret="s", tls=tls, on_change=lambda: None)
                break
            except LinkBroken:
                await asyncio.sleep(0.05)
    assert link.pid == worker[0].process.pid
    link.close()
    (tmp_path / "other").mkdir()
    stranger = trusting(str(make_certificate(tmp_path / "other")))
    with pytest.raises(LinkBroken, match=r"worker\.authority"):
        await connect("w1", worker[1], gateway="tests", secret="s", tls=stranger, on_change=lambda: None)
    with pytest.raises(LinkBroken):
        await connect("w1", worker[1], gateway="tests", secret="s", on_change=lambda: None)


def test_without_files_there_is_no_tls() -> None:
    assert (serving("", ""), trusting("")) == (None, None)


@pytest.mark.e2e
def test_files_that_cannot_be_used_are_named(tmp_path: Path, certificate: Path) -> None:
    with pytest.raises(BadSettings, match=r"worker\.authority .*none\.pem cannot be used: no such file"):
        trusting(str(tmp_path / "none.pem"))
    with pytest.raises(BadSettings, match=r"worker\.certificate .* cannot be used"):
        serving(str(certificate), str(certificate))
