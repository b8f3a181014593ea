"""The page that results are written on: a file, else standard output; what is settled is on it at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from scribewire.cli.formats import Results
from scribewire.cli.terminal import Transcript
from scribewire.client import Final, Partial
from scribewire.errors import ScribewireError


class Page:
    """Writes results to the file, or to the transcript where there is none; a transcript beside a file shows text.

    On leaving, also by an error, it writes what is still open, so that nothing that was heard is lost.
    """

    def __init__(self, results: Results, transcript: Transcript, file: TextIO | None) -> None:
        self._results = results
        self._transcript = transcript
        self._file = file
        self._has_begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._has_begun or error is None:
            self._begin()
            self._write(self._results.end())

    def show(self, message: Partial | Final) -> None:
        """Take a message of the session."""
        self._begin()
        settled = self._results.take(message)
        if self._file and self._transcript.is_live:
            waiting = ""
            if isinstance(message, Final):
                self._transcript.final(message.text)
        else:
            waiting = self._results.unsettled()
        partial = message.text if isinstance(message, Partial) else ""
        self._transcript.partial(f"{waiting} {partial}".strip())
        self._write(settled)

    def note(self, text: str) -> None:
        """Say what is no result."""
        self._transcript.note(text)

    def tick(self) -> None:
        """Show how it goes."""
        self._transcript.tick()

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            if self._file and Path(self._file.name).is_file():  # a device or a pipe holds nothing
                self._file.truncate(0)
            self._write(self._results.head())

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._file is None:
            self._transcript.write(text)
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            raise ScribewireError(f"{self._file.name} cannot be written: {error.strerror}.") from error


@contextmanager
def opened(path: Path | None) -> Iterator[TextIO | None]:
    """Open a file for results, whose old content stays until there are some; None gives None.

    Raises ScribewireError when it cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        file = path.open("a", encoding="utf-8", newline="")
    except OSError as error:
        raise ScribewireError(f"{path} cannot be written: {error.strerror}.") from error
    with file:
        yield file
