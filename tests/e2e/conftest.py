"""Real services for end-to-end tests: real processes, real sockets, real audio."""

from __future__ import annotations

import asyncio
import csv
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from service import Service, start

CLIPS = Path(__file__).parent.parent / "clips"


@dataclass(frozen=True)
class Clip:
    """One of the project's own clips."""

    name: str
    pcm: bytes
    text: str


def _decode(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in container.decode(audio=0))


@pytest.fixture(scope="session")
def clips() -> dict[str, Clip]:
    """Give the project's own clips by name, without extension."""
    with (CLIPS / "clips.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {
        Path(row["file"]).stem: Clip(Path(row["file"]).stem, _decode(CLIPS / row["file"]), row["text"] or "")
        for row in rows
    }


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service that is ready; one for all, which leave it as they found it.

    It has one worker with room for all: how many slots a busy machine measures is no matter of theirs.
    """
    room = {"AUTOSCALING__MAX_WORKERS": "1", "WORKER__SLOTS": "16"}
    with ready(tmp_path_factory.mktemp("service"), room) as service:
        yield service


@contextmanager
def ready(data_dir: Path, settings: Mapping[str, str] | None = None) -> Iterator[Service]:
    """Run a service, brought up, until the block ends. What it has written by then holds no key and no query."""
    service = asyncio.run(start(data_dir, {"SERVER__LOG_LEVEL": "debug", **(settings or {})}))
    try:
        service.initialize()
        yield service
    finally:
        end(service)
    written = service.log.read_text()
    assert service.key[4:] not in written
    assert "token=" not in written


def end(service: Service) -> None:
    """Stop a service that may have ended already."""
    if service.process.poll() is None:
        service.interrupt()
        try:
            service.process.wait(30)
        except subprocess.TimeoutExpired:
            service.process.kill()
            service.process.wait()
