"""Runs the command line on a terminal of a given size, and gives what stands on its screen."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pyte

_WAIT_S = 30.0


class Terminal:
    """A terminal with a command on it. `lines` is what its user sees, without the empty rest."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int, screen: pyte.Screen) -> None:
        self.process = process
        self._descriptor = descriptor
        self._screen = screen
        self._stream = pyte.ByteStream(screen)
        self._changed = asyncio.Event()
        self.written = b""
        self.ended = False

    @property
    def lines(self) -> list[str]:
        rows = [row.rstrip() for row in self._screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def colours(self) -> set[str]:
        """Give the colours of all that is shown."""
        return {cell.fg for row in self._screen.buffer.values() for cell in row.values()}

    async def until(self, shown: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the screen is so, and give its lines."""
        async with asyncio.timeout(_WAIT_S):
            while not shown(self.lines):
                assert not self.ended, self.lines
                self._changed.clear()
                await self._changed.wait()
        return self.lines

    async def end(self) -> int:
        """Wait for the command to end; give its exit code."""
        return await asyncio.wait_for(self.process.wait(), _WAIT_S)

    def read(self) -> None:
        """Take what was written since."""
        try:
            written = os.read(self._descriptor, 65_536)
        except OSError:  # nobody has the other side open
            written = b""
        if written:
            self.written += written
            self._stream.feed(written)
        else:
            self.ended = True
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._changed.set()


@asynccontextmanager
async def on_terminal(
    *arguments: str,
    data_dir: Path,
    columns: int = 80,
    rows: int = 24,
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[Terminal]:
    """Start `scribewire` with these arguments on a terminal, and a pipe for its standard input."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    unwanted = ("SCRIBEWIRE_", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scribewire", *arguments),
        env=inherited | {"SCRIBEWIRE_DATA_DIR": str(data_dir), "TERM": "xterm-256color"} | dict(variables or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    terminal = Terminal(process, outer, pyte.Screen(columns, rows))
    asyncio.get_running_loop().add_reader(outer, terminal.read)
    try:
        yield terminal
    finally:
        asyncio.get_running_loop().remove_reader(outer)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(outer)
