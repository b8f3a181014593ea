"""Live sessions of this gateway: who is there, how many may be, whose key still holds, and what is filed of them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from scribewire.core import events as ev
from scribewire.core.audio import s_of_samples
from scribewire.core.languages import Profile
from scribewire.errors import AtCapacity, NotAuthenticated, ScribewireError, SessionLimit
from scribewire.gateway.peers import Peers
from scribewire.gateway.store import SessionReport, Store
from scribewire.metrics import Metrics
from scribewire.settings import Settings

log = logging.getLogger(__name__)

# A revoked key ends its live sessions within 5 s: half of that, and a look-up that may be slow.
KEY_CHECK_S: Final = 2.0
# Reports wait here for the store; past this a report is worth less than the memory it takes.
MAX_REPORTS_WAITING: Final = 10_000
_RETRY_AFTER_S: Final = 5
_FILE_WAIT_S: Final = 5.0
_CLEAN_EVERY_S: Final = 3600.0


@dataclass(slots=True, eq=False)
class LiveSession:
    """One session as the registry sees it."""

    session_id: str
    deliver: Callable[[ev.Event], None] = field(repr=False)
    dialect: str
    started_at: datetime
    key_id: str | None = None
    key_name: str = ""
    profile: Profile | None = None
    worker: str = ""
    received_samples: int = 0
    lag_s: float | None = None  # of its last partial


class Sessions:
    """The registry. Owns a task that watches keys, one that files reports and, with peers, one that counts out.

    With `peers`, the limit of a key holds over all gateways.
    """

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, *, peers: Peers | None = None) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._peers = peers
        self._counted: set[str] = set()
        self._to_count_out: asyncio.Queue[str] = asyncio.Queue()  # as many as there were sessions
        self._live: set[LiveSession] = set()
        self._against: dict[LiveSession, str] = {}  # the key that each is counted against, until it has ended
        self._by_key: Counter[str] = Counter()
        self._reports: asyncio.Queue[SessionReport] = asyncio.Queue(MAX_REPORTS_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._empty = asyncio.Event()
        self._empty.set()
        self.stopping = False

    @property
    def live(self) -> int:
        """Give how many sessions are live, started or not; most sockets hold one."""
        return len(self._live)

    def of_key(self, key_id: str | None) -> list[LiveSession]:
        """Give the sessions that were admitted, the oldest first: of one key, or of all."""
        admitted = [session for session in self._live if session.key_id is not None]
        return sorted(
            (session for session in admitted if key_id in (None, session.key_id)), key=lambda one: one.started_at
        )

    async def start(self) -> None:
        """Start the tasks."""
        self._tasks = [asyncio.create_task(self._watch_keys()), asyncio.create_task(self._file_reports())]
        if self._peers is not None:
            self._tasks.append(asyncio.create_task(self._count_out(self._peers)))

    async def announce_stop(self, notice_s: float) -> None:
        """Take no more sessions, tell the live ones when they will be finished, and wait until then at most."""
        self.stopping = True
        if not self._live or not notice_s:
            return
        at = math.ceil(time.time() + notice_s)
        for session in tuple(self._live):
            session.deliver(ev.StopAnnounced(at))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), at - time.time())

    async def finish_all(self, grace_s: float) -> None:
        """Take no more sessions, finish the live ones and wait for them, at most `grace_s`."""
        self.stopping = True
        for session in tuple(self._live):
            session.deliver(ev.ServiceStopped())
        try:
            await asyncio.wait_for(self._empty.wait(), grace_s)
        except TimeoutError:
            log.warning("sessions did not end within the grace time", extra={"sessions": self.live})

    async def stop(self) -> None:
        """File what is left to file and end the tasks. Never started is stopped."""
        if not self._tasks:
            return
        try:
            await asyncio.wait_for(self._reports.join(), _FILE_WAIT_S)
        except TimeoutError:
            log.warning("reports could not be filed in time", extra={"reports": self._reports.qsize()})
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check_room(self) -> None:
        """Raise AtCapacity when the gateway has as many sockets as it may."""
        if len(self._live) >= self._settings.limits.sessions:
            raise AtCapacity(retry_after_s=_RETRY_AFTER_S)

    def check_key(self, grant: ev.Grant) -> None:
        """Raise SessionLimit when the key has as many sessions as it may."""
        most = self._most(grant)
        if most and self._by_key[grant.key_id] >= most:
            raise SessionLimit(retry_after_s=_RETRY_AFTER_S)

    def enter(self, session: LiveSession) -> None:
        """Note an open socket."""
        self._live.add(session)
        self._empty.clear()
        self._metrics.sessions_live.set(len(self._live))

    def _most(self, grant: ev.Grant) -> int:
        return grant.max_sessions or self._settings.limits.sessions_per_key

    async def admit(self, session: LiveSession, grant: ev.Grant) -> None:
        """Count the session against its key.

        Raises SessionLimit, and StoreFailed when the count is the store's.
        """
        self.check_key(grant)
        if self._peers is not None and self._most(grant):
            # First, so that it is counted out whatever happens meanwhile.
            self._counted.add(session.session_id)
            await self._peers.count_in(session.session_id, grant.key_id, self._most(grant))
        session.key_id, session.key_name = grant.key_id, grant.key_name
        self._against[session] = grant.key_id
        self._by_key[grant.key_id] += 1
        self._metrics.sessions_started.inc()

    def leave(self, session: LiveSession) -> None:
        """Forget the session. Twice is once."""
        if session not in self._live:
            return
        self._live.discard(session)
        self._spare(session)
        self._metrics.sessions_live.set(len(self._live))
        if not self._live:
            self._empty.set()

    def _spare(self, session: LiveSession) -> None:
        """Count the session against its key no longer. Twice is once."""
        if session.session_id in self._counted:
            self._counted.discard(session.session_id)
            self._to_count_out.put_nowait(session.session_id)
        key_id = self._against.pop(session, None)
        if key_id is not None:
            self._by_key[key_id] -= 1
            self._by_key += Counter()  # drops keys without sessions

    def file(self, session: LiveSession, report: ev.Report) -> None:
        """Count, log and keep what is said of a session at its end."""
        self._spare(session)  # before its client hears the end, and may come back at once
        duration_s = (datetime.now(UTC) - session.started_at).total_seconds()
        self._metrics.session_ended(report)
        log.info(
            "session ended",
            extra={
                "session_id": session.session_id,
                "dialect": session.dialect,
                "key_id": session.key_id,
                "close_code": report.close_code,
                "error_code": report.error_code,
                "duration_s": round(duration_s, 3),
                "audio_s": round(s_of_samples(report.received_samples), 3),
                "finals": report.finals,
                "streams_lost": report.streams_lost,
            },
        )
        if session.key_id is None or session.profile is None:
            return  # never admitted: there is nobody to report to
        filed = SessionReport(
            session_id=session.session_id,
            key_id=session.key_id,
            started_at=session.started_at,
            ended_at=datetime.now(UTC),
            language=session.profile.language,
            type=session.profile.type,
            dialect=session.dialect,
            report=report,
        )
        try:
            self._reports.put_nowait(filed)
        except asyncio.QueueFull:
            log.error("a report was dropped: the store is too slow")

    async def _watch_keys(self) -> None:
        while True:
            await asyncio.sleep(KEY_CHECK_S)
            try:
                valid = await self._store.valid_keys(set(self._by_key))
            except ScribewireError:
                log.exception("keys of live sessions could not be checked")
                continue
            for session in tuple(self._live):
                if session.key_id is not None and session.key_id not in valid:
                    session.deliver(ev.Denied(NotAuthenticated()))

    async def _count_out(self, peers: Peers) -> None:
        while True:
            session_id = await self._to_count_out.get()
            try:
                await peers.count_out(session_id)
            except ScribewireError:
                log.exception("a session could not be counted out")
                self._to_count_out.put_nowait(session_id)
                await asyncio.sleep(KEY_CHECK_S)

    async def _file_reports(self) -> None:
        last_cleaned_s = float("-inf")
        keep_days = self._settings.store.reports_keep_days
        while True:
            filed = await self._reports.get()
            try:
                if keep_days:
                    await self._store.file_report(filed)
                if time.monotonic() - last_cleaned_s > _CLEAN_EVERY_S:
                    await self._store.delete_old_reports(keep_days)
                    last_cleaned_s = time.monotonic()
            except ScribewireError:
                log.exception("a report could not be filed")
            finally:
                self._reports.task_done()
