"""An audience: those who read one speaker's captions, and all finals so far for whoever comes late."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from scribewire.core import events as ev
from scribewire.dialects import scriptix_messages as wire
from scribewire.dialects.scriptix import ScriptixV2

# What a late reader is shown: an hour and more of talk, some 200 kB.
MAX_FINALS: Final = 500
# A reader that is this many messages behind does not read.
MAX_BEHIND: Final = MAX_FINALS + 200


class Kind(Enum):
    """What becomes of a message to readers: a state goes out, a partial may be passed over, a final is kept."""

    STATE = "state"
    PARTIAL = "partial"
    FINAL = "final"


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One final: when it was said (wall-clock Unix seconds), a name that no other has, and how it is spelled."""

    at: float
    name: str
    text: str


def spell(message: wire.Said) -> str:
    """Give the text of a message to a reader."""
    return msgspec.json.encode(message).decode()


_SPEAKING: Final = spell(wire.Speaking())
_PAUSED: Final = spell(wire.Paused())
STOPPED: Final = spell(wire.Stopped())


class Viewer:
    """One reader, who takes what there is at its own pace and delays nobody."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = deque(texts)
        self._partial = ""
        self._news = asyncio.Event()
        self._news.set()
        # The code to close with, once all is said; `closing` is set with it.
        self.close_code: int | None = None
        self.closing = asyncio.Event()

    def tell(self, text: str, kind: Kind = Kind.STATE) -> None:
        """Have it told. A partial replaces one that still waits, and goes when anything else comes."""
        if self.close_code is not None:
            return
        if kind is Kind.PARTIAL:
            self._partial = text
        else:
            self._partial = ""
            self._texts.append(text)
            if len(self._texts) > MAX_BEHIND:
                self._texts.clear()
                self.close(1013)
        self._news.set()

    def close(self, code: int) -> None:
        """Have it closed once it was told all. The first code stands."""
        if self.close_code is None:
            self.close_code = code
        self.closing.set()
        self._news.set()

    async def write(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Send what comes until it is to be closed."""
        while True:
            while self._texts:
                await send(self._texts.popleft())
            if self._partial:
                text, self._partial = self._partial, ""
                await send(text)
                continue
            if self.close_code is not None:
                return
            self._news.clear()
            await self._news.wait()


class Audience:
    """The readers of one share in this gateway. A message is spelled once for all of them.

    Speakers may be here or at other gateways; each is told of by a name.
    """

    def __init__(self, *, now: float) -> None:
        self._lines: list[Line] = []  # in the order in which they were said
        self._names: set[str] = set()
        self._viewers: set[Viewer] = set()
        self._speakers: set[str] = set()
        self._spell = ScriptixV2("").encode
        self._left_at_s = now

    @property
    def viewers(self) -> int:
        """Count the readers."""
        return len(self._viewers)

    @property
    def live(self) -> bool:
        """Say whether a session is shown."""
        return bool(self._speakers)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Give the finals so far."""
        return tuple(self._lines)

    def idle_s(self, now: float) -> float:
        """Say for how long there has been neither a session nor a reader."""
        return 0.0 if self._speakers or self._viewers else now - self._left_at_s

    def begin(self, speaker: str) -> None:
        """Show a session. Twice is once."""
        if speaker not in self._speakers:
            self._speakers.add(speaker)
            self._tell_all(_SPEAKING)

    def spell(self, message: ev.Partial | ev.Final) -> str:
        """Give what readers are told of what a session says."""
        return self._spell(message)

    def tell(self, text: str) -> None:
        """Show a partial."""
        self._tell_all(text, Kind.PARTIAL)

    def add(self, line: Line) -> None:
        """Show a final and keep it. Twice is once."""
        if line.name in self._names or (len(self._lines) == MAX_FINALS and line < self._lines[0]):
            return
        self._names.add(line.name)
        insort(self._lines, line)
        if len(self._lines) > MAX_FINALS:
            self._names.discard(self._lines.pop(0).name)
        self._tell_all(line.text, Kind.FINAL)

    def end(self, speaker: str, now: float) -> None:
        """Show a session no longer. Twice is once."""
        if speaker not in self._speakers:
            return
        self._speakers.discard(speaker)
        self._left_at_s = now
        if not self._speakers:
            self._tell_all(_PAUSED)

    def join(self) -> Viewer:
        """Take in a reader, who is told how things stand and all finals so far."""
        first = spell(wire.Watching(live=self.live))
        viewer = Viewer((first, *(line.text for line in self._lines)))
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer, now: float) -> None:
        """Let a reader go. Twice is once."""
        self._viewers.discard(viewer)
        self._left_at_s = now

    def close(self, code: int) -> None:
        """Send all readers away: with 1000, for good."""
        if code == 1000:
            self._tell_all(STOPPED)
        for viewer in self._viewers:
            viewer.close(code)

    def _tell_all(self, text: str, kind: Kind = Kind.STATE) -> None:
        for viewer in self._viewers:
            viewer.tell(text, kind)
