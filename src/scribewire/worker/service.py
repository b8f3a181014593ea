"""One worker: its phases, its slots, its gateways, and the streams between them."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum
from typing import Final

from scribewire.assets import sample_pcm
from scribewire.certificates import serving
from scribewire.core.languages import TYPES
from scribewire.engines.base import Engine, Options
from scribewire.engines.gate import Gate, create_gate
from scribewire.errors import AtCapacity, EngineMissing, ScribewireError, UnknownLanguage, UnknownType
from scribewire.frames import BEAT_S, Draining, Frame, Load, Open
from scribewire.settings import Settings
from scribewire.worker.address import is_tcp, start_listening
from scribewire.worker.calibration import measure_rtf, own_cores
from scribewire.worker.capacity import Capacity
from scribewire.worker.decoding import Decoding, LiveStream
from scribewire.worker.lanes import LaneDecoders, RemoteNursery
from scribewire.worker.link import GatewayLink
from scribewire.worker.memory import held_bytes
from scribewire.worker.quanta import Decoders
from scribewire.worker.threads import ThreadDecoders
from scribewire.worker.track import Track

_log = logging.getLogger(__name__)

# A worker that failed says why for this long, then ends, so that whoever runs it sees it too.
LAST_WORDS_S: Final = 3.0
# The last frames of the last stream may still be on their way out.
CLOSE_WAIT_S: Final = 1.0
# Looking costs a millisecond a lane, and memory changes slowly.
WEIGH_S: Final = 5.0


class Phase(Enum):
    """Where a worker stands."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Worker:
    """`serve` is its whole life. `engines` holds every choice, the default first; `nursery` is for those with lanes."""

    def __init__(
        self,
        settings: Settings,
        *,
        listen: str,
        name: str,
        engines: Mapping[str, Engine | ScribewireError],
        nursery: RemoteNursery | None,
    ) -> None:
        remote = is_tcp(listen)
        self.name = name
        self.secret = settings.worker.secret if remote else None
        self.decoding: Decoding | None = None
        self._settings = settings
        self._listen = listen
        self._engines = engines
        self._nursery = nursery
        cores = settings.worker.cores or (own_cores() if remote else 1.0)
        self._permits = max(1, round(cores))
        self._default = next(iter(engines), "")
        self._capacity = Capacity(
            cores=cores,
            default=self._default,
            fixed_slots=settings.worker.slots,
            second_passes=dict(settings.engines.second_passes()),
        )
        self._phase = Phase.LOADING
        self._reason = ""
        self._gate: Gate | None = None
        self._decoders: dict[str, Decoders] = {}
        self._missing: dict[str, ScribewireError] = {}
        self._loaded: dict[str, asyncio.Event] = {}
        # Each choice is asked for at most once.
        self._to_load: asyncio.Queue[str] = asyncio.Queue(len(engines))
        self._wanted = {self._default}
        self._live: Counter[str] = Counter()
        self._lanes_cpu_s = 0.0
        self._memory_bytes = 0
        self._links: set[GatewayLink] = set()
        self._status = 0
        self._signalled = False
        self._report_due = False

    async def serve(self) -> int:
        """Listen, load, serve until told to stop; give the exit status.

        Raises BadSettings when it cannot listen.
        """
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._loaded = {choice: asyncio.Event() for choice in self._engines}
        tasks = asyncio.TaskGroup()
        tls = serving(self._settings.worker.certificate, self._settings.worker.certificate_key)
        # Outside the group, which would wrap what is raised. Who calls is taken once the loop runs again: inside it.
        server = await start_listening(self._listen, lambda: self._accept(tasks), tls=tls)
        async with tasks:
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._loop.add_signal_handler(number, self._take_signal)
            if self._nursery is not None:
                self._nursery.attach(self._fail)
            jobs = [tasks.create_task(job) for job in (self._beat(), self._weigh(), self._load(tasks))]
            await self._ended.wait()
            server.close()
            await self._close(jobs)
        return self._status

    async def _close(self, jobs: Iterable[asyncio.Task[None]]) -> None:
        for job in jobs:
            job.cancel()
        for link in tuple(self._links):
            link.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                for link in tuple(self._links):
                    await link.lost.wait()
        for decoders in self._decoders.values():
            await decoders.close()

    # --- loading -----------------------------------------------------------------------------------------------------

    async def _load(self, tasks: asyncio.TaskGroup) -> None:
        """Load the gate and the default choice, measure, say ready, decode; meanwhile load the other choices."""
        try:
            loading = asyncio.to_thread(create_gate, self._settings.gate)
            self._gate = gate = (await asyncio.gather(loading, self._load_choice(self._default)))[0]
        except ScribewireError as error:
            self._fail(str(error))
            return
        second_pass_wait_s = self._settings.engines.second_pass_wait_s
        self.decoding = Decoding(gate, self, permits=self._permits, second_pass_wait_s=second_pass_wait_s)
        self._phase = Phase.READY
        _log.info("The worker is ready", extra={"worker": self.name, "rtf": self._capacity.rtf()})
        self._changed()
        async with asyncio.TaskGroup() as live:
            live.create_task(self.decoding.run())
            if self._settings.engines.load == "start":
                for choice in self._engines:
                    self._want(choice)
            while True:
                await self._load_if_there(await self._to_load.get())

    def _want(self, choice: str) -> None:
        """Have a choice loaded, after those that were asked for before."""
        if choice not in self._wanted:
            self._wanted.add(choice)
            self._to_load.put_nowait(choice)

    async def _load_if_there(self, choice: str) -> None:
        try:
            await self._load_choice(choice)
        except ScribewireError as error:
            _log.warning("An engine is not there", extra={"engine": choice, "reason": str(error)})
            self._missing[choice] = error
            self._loaded[choice].set()
        self._changed()

    async def _load_choice(self, choice: str) -> None:
        engine = self._engines.get(choice) or EngineMissing("No engine is configured for the default language.")
        if isinstance(engine, ScribewireError):
            raise engine
        decoders: Decoders
        if engine.traits.releases_gil:
            decoders = ThreadDecoders(engine, choice, threads=self._permits)
        else:
            assert self._nursery is not None, "an engine that holds the GIL needs a nursery"
            decoders = LaneDecoders(self._nursery, choice)
        self._decoders[choice] = decoders
        await decoders.load()
        self._capacity.measured(choice, await measure_rtf(decoders, sample_pcm()))
        self._loaded[choice].set()

    def _fail(self, reason: str) -> None:
        if self._phase is Phase.FAILED:
            return
        _log.error("The worker failed", extra={"worker": self.name, "reason": reason})
        self._phase, self._reason = Phase.FAILED, reason
        self._status = 1
        self._changed()
        self._loop.call_later(LAST_WORDS_S, self._ended.set)

    # --- slots -------------------------------------------------------------------------------------------------------

    async def admit(self, opened: Open, link: GatewayLink) -> LiveStream:
        """Give the stream a slot and a decoder.

        Raises UnknownLanguage, UnknownType, AtCapacity, EngineMissing or EngineFailed.
        """
        choice = self._choose(opened)
        second = self._settings.engines.languages[opened.language].second_pass
        if second == choice:
            second = ""  # it has heard all it can
        to_come = [needed for needed in (choice, second) if needed and not self._is_loaded(needed)]
        if to_come:
            # Whoever waits for a slot waits for this too; what cannot be loaded is told by `_open`.
            raise AtCapacity
        lag_s = self.decoding.lag_s if self.decoding else 0.0
        if self._phase is not Phase.READY or not self._capacity.admits(choice, self._live, lag_s=lag_s):
            raise AtCapacity
        self._live[choice] += 1
        self._changed()
        try:
            stream = await self._open(opened, choice, second, link)
        except BaseException:
            self._leave(choice)
            raise
        assert self.decoding is not None, "ready without decoding"
        self.decoding.add(stream)
        return stream

    def _is_loaded(self, choice: str) -> bool:
        """Say whether a choice was loaded, or found not to be there; if not yet, have it loaded."""
        if self._phase is Phase.READY:
            self._want(choice)
        return self._loaded[choice].is_set()

    async def _open(self, opened: Open, choice: str, second: str, link: GatewayLink) -> LiveStream:
        for needed in (choice, second):
            if needed in self._missing:
                raise EngineMissing(str(self._missing[needed]))
        assert self._gate is not None, "ready without a gate"
        track = Track(
            opened,
            self._gate,
            stable_only=self._settings.session.partials == "stable",
            windowed=self._decoders[choice].windowed,
        )
        decoders = self._decoders[choice]
        options = Options(opened.language, opened.vocabulary)
        decoder = await decoders.open(track.engine_state, options)

        def leave(stream: LiveStream) -> None:
            link.forget(stream.number)
            self._leave(choice)

        return LiveStream(
            number=opened.stream,
            choice=choice,
            track=track,
            decoder=decoder,
            decoders=decoders,
            say=link.say,
            on_end=leave,
            second=second,
            second_decoders=self._decoders.get(second),
            options=options,
        )

    def _choose(self, opened: Open) -> str:
        language = self._settings.engines.languages.get(opened.language)
        if language is None:
            raise UnknownLanguage
        if opened.type not in TYPES or not getattr(language, opened.type):
            raise UnknownType
        choice: str = getattr(language, opened.type)
        return choice

    def _leave(self, choice: str) -> None:
        self._live[choice] -= 1
        self._changed()
        if self._phase is Phase.DRAINING and not self._live.total():
            self._ended.set()

    def spent(self, choice: str, *, cpu_s: float, audio_s: float, apart: bool) -> None:
        """Keep account of what decoding cost."""
        self._capacity.spent(choice, cpu_s=cpu_s, audio_s=audio_s)
        if apart:
            self._lanes_cpu_s += cpu_s

    # --- gateways ----------------------------------------------------------------------------------------------------

    def report(self) -> Load:
        """Say how the worker is."""
        return Load(
            phase=self._phase.value,
            slots=self._capacity.slots(self._live),
            live=self._live.total(),
            rtf=round(self._capacity.rtf(), 4),
            lag_s=round(self.decoding.lag_s, 3) if self.decoding else 0.0,
            cpu_s=round(time.process_time() + self._lanes_cpu_s, 3),
            reason=self._reason,
            memory_bytes=self._memory_bytes,
        )

    def _accept(self, tasks: asyncio.TaskGroup) -> GatewayLink:
        link = GatewayLink(self, tasks, on_lost=self._links.discard)
        self._links.add(link)
        return link

    def _changed(self) -> None:
        # Once a turn of the loop, whatever changed in it.
        if not self._report_due:
            self._report_due = True
            self._loop.call_soon(self._report)

    def _report(self) -> None:
        self._report_due = False
        self._say([self.report()])

    def _say(self, frames: list[Frame]) -> None:
        for link in tuple(self._links):
            link.say(frames)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            for link in tuple(self._links):
                link.check()
            if self.decoding is not None:
                self.decoding.tell_consumed()
            self._report()

    async def _weigh(self) -> None:
        while True:
            self._memory_bytes = await asyncio.to_thread(held_bytes)
            await asyncio.sleep(WEIGH_S)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _take_signal(self) -> None:
        """Drain on the first signal; end at once on a second, or when there is nothing to drain."""
        if self._signalled or self._phase in (Phase.LOADING, Phase.FAILED):
            self._ended.set()
        self._signalled = True
        self.drain("It was told to stop.")

    def drain(self, reason: str) -> None:
        """Take no more streams, and end with the last one, or when the grace time has passed. Twice is once."""
        if self._phase is not Phase.READY:
            return
        _log.info("The worker drains", extra={"worker": self.name, "live": self._live.total()})
        self._phase, self._reason = Phase.DRAINING, reason
        self._say([Draining(self._reason), self.report()])
        if self._live.total():
            self._loop.call_later(self._settings.server.grace_s, self._ended.set)
        else:
            self._ended.set()
