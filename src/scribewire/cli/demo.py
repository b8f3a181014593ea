"""The command that shows the whole thing on one machine: a service from zero workers to live text, and back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer
from rich.text import Text

from scribewire.assets import sample_pcm, sample_text
from scribewire.cli.local import client_of, served_url
from scribewire.cli.streaming import in_real_time
from scribewire.cli.terminal import Transcript, out, waiting_for
from scribewire.client import Client, Final, Partial, Session
from scribewire.errors import ScribewireError

_START_WAIT_S = 30.0
_STOP_WAIT_S = 25.0


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo() -> None:
    """Start a service with nothing but this machine, wake it from zero, stream a synthetic sample, and stop it all."""
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="scribewire-demo-") as folder, _service(Path(folder)):
        asyncio.run(_show(client_of(None, None, Path(folder))))
    out.print("Everything is stopped.")


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


# --- the service -----------------------------------------------------------------------------------------------------


@contextmanager
def _service(folder: Path) -> Iterator[None]:
    """Run the real service on a free port; it ends with this block, and with this process however that dies."""
    lifeline, held = os.pipe()
    log = folder / "serve.log"
    command = [sys.executable, "-m", "scribewire", "serve", "--port", "0", "--data-dir", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--lifeline-fd", str(lifeline)],
            env={name: value for name, value in os.environ.items() if not name.startswith("SCRIBEWIRE_")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(lifeline,),
            start_new_session=True,  # Ctrl-C is the demo's: it stops the service in order
        )
    os.close(lifeline)
    try:
        _await_url(process, folder, log)
        yield
    finally:
        _stop(process)
        os.close(held)


def _await_url(process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_WAIT_S
    while served_url(folder) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise ScribewireError(f"The service did not start. It said last: {said[-1] if said else 'nothing'}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_WAIT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


# --- what is shown ---------------------------------------------------------------------------------------------------


@dataclass
class _Marks:
    """When things happened, in seconds of the monotonic clock."""

    first_audio: float = 0.0
    first_partial: float | None = None
    stop: float = 0.0
    last_final: float | None = None
    partials: int = 0
    words: list[str] = field(default_factory=list)


async def _show(client: Client) -> None:
    out.print("A demonstration of Scribewire on this machine. The speech is [bold]synthetic[/bold] (flite, voice rms).")
    async with client:
        _row("status", (await client.status()).status)
        began = time.monotonic()
        with waiting_for("Initializing"):
            ready = await client.initialize()
        _row("initialize", f"{ready.status} after {time.monotonic() - began:.2f} s")
        out.print()
        async with client.session() as session:
            marks = await _stream(session)
        out.print()
    _report(marks)


async def _stream(session: Session) -> _Marks:
    marks = _Marks()
    sending = asyncio.create_task(_speak(session, marks))
    try:
        with Transcript() as transcript:
            async for message in session:
                if isinstance(message, Partial):
                    marks.first_partial = marks.first_partial or time.monotonic()
                    marks.partials += 1
                    transcript.partial(message.text)
                elif isinstance(message, Final):
                    marks.last_final = time.monotonic()
                    marks.words += message.text.split()
                    transcript.final(message.text)
        await sending
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return marks


async def _speak(session: Session, marks: _Marks) -> None:
    async def sample() -> AsyncIterator[bytes]:
        yield sample_pcm()

    async for block in in_real_time(sample()):
        marks.first_audio = marks.first_audio or time.monotonic()
        await session.send(block)
    marks.stop = time.monotonic()
    await session.stop()


def _report(marks: _Marks) -> None:
    if marks.first_partial is None or marks.last_final is None:
        raise ScribewireError("The service gave no text.")
    spoken = sample_text().split()
    matches = SequenceMatcher(None, spoken, marks.words, autojunk=False).get_matching_blocks()
    right = sum(match.size for match in matches)
    _row("first partial", f"{marks.first_partial - marks.first_audio:.2f} s after the first audio")
    _row("partials", str(marks.partials))
    _row("last final", f"{max(0.0, marks.last_final - marks.stop):.2f} s after stop")
    _row("words right", f"{right} of {len(spoken)} ({right / len(spoken):.0%})")


def _row(name: str, value: str) -> None:
    out.print(Text.assemble((f"{name:<15}", "bold"), value))
