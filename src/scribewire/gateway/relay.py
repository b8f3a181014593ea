"""The relay: what is said on shares at one gateway, told to their readers at the others, by notices of the store.

A gateway that has readers or speakers of a share says every few seconds that it wants it. Whoever has speakers tells
those that want it, and whoever has finals of it gives them to one that wants it anew. Nothing is kept in the store.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, MutableMapping
from typing import Final, Literal

import msgspec

from scribewire.errors import ScribewireError
from scribewire.gateway.audience import Audience, Line
from scribewire.gateway.store import Store

log = logging.getLogger(__name__)

CHANNEL: Final = "scribewire_shares"
# How often a gateway says what it wants, and for how long that, and that it speaks, is believed.
WANT_S: Final = 5.0
BELIEVED_S: Final = 3 * WANT_S
_RETRY_S: Final = 1.0
# Notices on their way to the store. Partials are worth little when others wait already.
_MAX_WAITING: Final = 2000
_MAX_WAITING_BEFORE_PARTIALS: Final = 100
# PostgreSQL takes less than 8000 bytes; a final of this length would be minutes of speech.
_MAX_NOTICE_BYTES: Final = 7900


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One notice. `to` names the only gateway that it is for; `name`, `at` and `text` are those of a line."""

    gateway: str
    share: str
    kind: Literal["want", "begin", "end", "partial", "final"]
    to: str = ""
    name: str = ""
    at: float = 0.0
    text: str = ""
    anew: bool = False  # of a want: whoever wants it may have missed something


class Relay:
    """This gateway among those that share a store. `run` listens, tells, and says what is wanted."""

    def __init__(self, store: Store, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._audiences: MutableMapping[str, Audience] = {}
        self._speakers: defaultdict[str, set[str]] = defaultdict(set)  # of this gateway, by share
        self._wanted: defaultdict[str, dict[str, float]] = defaultdict(dict)  # when whom, by share
        self._afar: defaultdict[str, dict[str, float]] = defaultdict(dict)  # speakers elsewhere, by share
        self._waiting: asyncio.Queue[Notice] = asyncio.Queue(_MAX_WAITING)
        self._decoder = msgspec.json.Decoder(Notice)

    def attach(self, audiences: MutableMapping[str, Audience]) -> None:
        """Tell these audiences what is said elsewhere."""
        self._audiences = audiences

    # --- what is said here -------------------------------------------------------------------------------------------

    def want(self, share: str, *, anew: bool = False) -> None:
        """Say that there are readers or speakers of a share here."""
        self._put(Notice(self._name, share, "want", anew=anew))

    def begin(self, share: str, speaker: str) -> None:
        """Tell of a session."""
        self._speakers[share].add(speaker)
        # To all: whoever has readers says then that it wants it.
        self._put(Notice(self._name, share, "begin", name=speaker))

    def end(self, share: str, speaker: str) -> None:
        """Tell of its end."""
        self._speakers[share].discard(speaker)
        self._tell(Notice(self._name, share, "end", name=speaker))

    def tell(self, share: str, text: str) -> None:
        """Tell a partial."""
        if self._waiting.qsize() < _MAX_WAITING_BEFORE_PARTIALS:
            self._tell(Notice(self._name, share, "partial", text=text))

    def add(self, share: str, line: Line) -> None:
        """Tell a final."""
        self._tell(Notice(self._name, share, "final", name=line.name, at=line.at, text=line.text))

    def _tell(self, notice: Notice) -> None:
        if any(self._believed(at) for at in self._wanted[notice.share].values()):
            self._put(notice)

    def _put(self, notice: Notice) -> None:
        try:
            self._waiting.put_nowait(notice)
        except asyncio.QueueFull:
            log.warning("a notice to other gateways was dropped: the store is too slow")

    def _believed(self, at: float) -> bool:
        return self._clock() - at < BELIEVED_S

    # --- what is said elsewhere --------------------------------------------------------------------------------------

    def hear(self, text: str) -> None:
        """Take a notice."""
        try:
            notice = self._decoder.decode(text)
        except msgspec.DecodeError:
            return  # a later program's
        if notice.gateway == self._name or notice.to not in ("", self._name):
            return
        if notice.kind == "want":
            self._take_want(notice)
            return
        audience = self._audiences.get(notice.share)
        if audience is None:
            return
        match notice.kind:
            case "begin":
                self._afar[notice.share][notice.name] = self._clock()
                audience.begin(notice.name)
                if not notice.to and audience.viewers:
                    self.want(notice.share, anew=True)
            case "end":
                self._afar[notice.share].pop(notice.name, None)
                audience.end(notice.name, self._clock())
            case "partial":
                audience.tell(notice.text)
            case "final":
                audience.add(Line(notice.at, notice.name, notice.text))

    def _take_want(self, notice: Notice) -> None:
        wanted, asker = self._wanted[notice.share], notice.gateway
        anew = notice.anew or not self._believed(wanted.get(asker, float("-inf")))
        wanted[asker] = self._clock()
        audience = self._audiences.get(notice.share)
        for line in audience.lines if audience is not None and anew else ():
            self._put(Notice(self._name, notice.share, "final", asker, line.name, line.at, line.text))
        for speaker in self._speakers[notice.share]:
            self._put(Notice(self._name, notice.share, "begin", to=asker, name=speaker))
        if notice.anew and not notice.to and audience is not None and audience.viewers:
            # It may have missed what we asked for when we came back before it.
            self._put(Notice(self._name, notice.share, "want", to=asker, anew=True))

    # --- tasks -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen, tell and want, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._publish())
            tasks.create_task(self._keep_wanting())

    async def _listen(self) -> None:
        while True:
            try:
                async with self._store.notices(CHANNEL, self.hear) as broken:
                    self._want_all(anew=True)
                    await broken.wait()
            except ScribewireError:
                log.warning("notices of other gateways cannot be heard")
            await asyncio.sleep(_RETRY_S)

    async def _publish(self) -> None:
        while True:
            notice = msgspec.json.encode(await self._waiting.get())
            if len(notice) > _MAX_NOTICE_BYTES:
                log.warning("a final is too long for other gateways", extra={"bytes": len(notice)})
                continue
            try:
                await self._store.notify(CHANNEL, notice.decode())
            except ScribewireError:
                log.warning("a notice to other gateways was lost")
                await asyncio.sleep(_RETRY_S)

    async def _keep_wanting(self) -> None:
        while True:
            await asyncio.sleep(WANT_S)
            self._want_all()
            self.sweep()

    def _want_all(self, *, anew: bool = False) -> None:
        for share, audience in self._audiences.items():
            if audience.viewers or self._speakers[share]:
                self.want(share, anew=anew)

    def sweep(self) -> None:
        """Believe no longer what was said too long ago: a gateway that died says no farewell."""
        for share, wanted in tuple(self._wanted.items()):
            self._wanted[share] = {asker: at for asker, at in wanted.items() if self._believed(at)}
            if not self._wanted[share]:
                del self._wanted[share]
        for share, afar in tuple(self._afar.items()):
            for speaker in [one for one, at in afar.items() if not self._believed(at)]:
                del afar[speaker]
                if share in self._audiences:
                    self._audiences[share].end(speaker, self._clock())
            if not afar:
                del self._afar[share]
        for share in [one for one, speakers in self._speakers.items() if not speakers]:
            del self._speakers[share]
