"""What the commands write: results on standard output, everything else on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

# soft_wrap, so that a pipe gets a final as one line.
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

_PARTIAL_ROWS = 4


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
    if not err.is_terminal or err.is_dumb_terminal:
        say(f"{what} …")
        yield
        say(f"{what}: done after {time.monotonic() - began:.1f} s")
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


class Transcript:
    """Finals as lines; on a terminal, under them a partial that grows and, where one is given, a line on how it goes.

    `status` gives that line for a width in columns. A dumb terminal cannot move its cursor: it gets finals alone, as a
    pipe does.
    """

    def __init__(
        self, console: Console = out, *, status: Callable[[int], Text] | None = None, live: bool = True
    ) -> None:
        self._console = console
        self._status = status
        self._partial = Text()
        can_move = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True) if live and can_move else None

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
            self._live.update(Text())
            self._live.stop()

    def partial(self, text: str) -> None:
        """Show the open segment in place of what was shown of it."""
        self._partial = Text(text, style="dim")
        self._draw()

    def final(self, text: str) -> None:
        """Write a whole segment."""
        self.partial("")
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Write whole lines of output: to the byte, but on a live screen, where they break between words."""
        if self._live:
            self._console.print(Text(text), end="", soft_wrap=False)
        else:
            self._console.file.write(text)
            self._console.file.flush()

    def note(self, text: str) -> None:
        """Say what is no result."""
        if self._live:
            self._console.print(Text(text, style="yellow"), soft_wrap=False)
        else:
            say(text)

    def tick(self) -> None:
        """Show how it goes now."""
        self._draw()

    def _draw(self) -> None:
        if self._live:
            width = self._console.width
            # The end of a long partial is what is new; a region higher than the terminal could not be redrawn.
            rows = self._partial.wrap(self._console, width)[-_PARTIAL_ROWS:] if self._partial else []
            status = [self._status(width)] if self._status else []
            self._live.update(Group(*rows, *status), refresh=True)
