"""What the commands write: results on standard output, everything else on standard error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

# soft_wrap, so that a pipe gets a final as one line.
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def complain(sentences: str) -> None:
    """Write what went wrong, a line for each sentence."""
    for sentence in sentences.splitlines():
        err.print(Text.assemble(("error: ", "bold red"), sentence))


def say(text: str, *, style: str = "") -> None:
    """Write a note that is no result."""
    err.print(Text(text, style=style))


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Show a spinner and the time elapsed; without a terminal, one line before and one after."""
    began = time.monotonic()
    if not err.is_terminal:
        say(f"{what} …")
        yield
        say(f"{what}: done after {time.monotonic() - began:.1f} s")
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


class Transcript:
    """Finals as lines; on a terminal, under them a partial that grows."""

    def __init__(self, console: Console = out) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    @property
    def is_live(self) -> bool:
        """Say whether partials are shown at all."""
        return self._live is not None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def partial(self, text: str) -> None:
        """Show the open segment in place of what was shown of it."""
        if self._live:
            self._live.update(Text(text, style="dim"), refresh=True)

    def final(self, text: str) -> None:
        """Write a whole segment."""
        if self._live:
            self._live.update(Text(""), refresh=True)
        self.line(text)

    def line(self, text: str) -> None:
        """Write a line of output."""
        self._console.print(Text(text))
