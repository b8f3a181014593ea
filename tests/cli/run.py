"""Runs the command line as its users do: another process, no terminal, no variables of ours but those given."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


async def spawn(
    *arguments: str, data_dir: Path, terminal: int | None = None, variables: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start `scribewire` with these arguments, writing to a terminal if one is given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBEWIRE_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scribewire", *arguments),
        env={
            **inherited,
            "SCRIBEWIRE_DATA_DIR": str(data_dir),
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "TERM": "xterm",
            **(variables or {}),
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE if terminal is None else terminal,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(*arguments: str, data_dir: Path, stdin: bytes = b"", wait_s: float = 60.0, **variables: str) -> Ran:
    """Run `scribewire` with these arguments to its end."""
    process = await spawn(*arguments, data_dir=data_dir, variables=variables)
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), wait_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ran(process.returncode or 0, out.decode(), err.decode())
