"""The second pass: a better engine hears each final once more, within a bound; else it goes out as it is."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from scribewire.core.audio import s_of_samples
from scribewire.core.words import Word
from scribewire.engines.base import Options
from scribewire.errors import EngineFailed, ScribewireError
from scribewire.worker.quanta import Decoded, Decoder, Decoders, Quantum

_log = logging.getLogger(__name__)

# As for a first pass: an engine that wants a segment again more often than this never ends it.
MAX_AGAIN: Final = 3

Account = Callable[[float, float], None]


@dataclass(eq=False, slots=True)
class Pass:
    """One segment on its second way. `settle` is called once, with what is to go out; `wanted` says that it is awaited.

    `account` is told the CPU seconds and the seconds of audio that each piece took.
    """

    decoders: Decoders
    options: Options
    first_sample: int
    windows: tuple[bytes, ...]
    first: Decoded
    settle: Callable[[Decoded], None]
    account: Account
    wanted: Callable[[], bool]
    settled: bool = field(default=False, init=False)
    deadline: asyncio.TimerHandle = field(init=False)


class SecondPasses:
    """The segments that wait for their second pass, at most one of each stream. `run` is one decoder of them."""

    def __init__(self, wait_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._wait_s = wait_s
        self._waiting: deque[Pass] = deque()
        self._work = asyncio.Event()

    def offer(self, again: Pass) -> None:
        """Have a segment decoded once more; it is settled within the bound, whatever comes of it."""
        again.deadline = self._loop.call_later(self._wait_s, self._settle, again, again.first)
        self._waiting.append(again)
        self._work.set()

    async def run(self) -> None:
        """Decode, one segment after the other, until cancelled."""
        while True:
            if self._waiting:
                await self._pass(self._waiting.popleft())
            else:
                self._work.clear()
                await self._work.wait()

    async def _pass(self, again: Pass) -> None:
        self._settle(again, await self._decode(again) if again.wanted() else again.first)

    def _settle(self, again: Pass, decoded: Decoded) -> None:
        if again.settled:
            return
        again.settled = True
        # Neither is to hold its audio any longer: the deadline, nor the line, where it stands if nobody came to it.
        again.deadline.cancel()
        with suppress(ValueError):
            self._waiting.remove(again)
        again.settle(decoded)

    async def _decode(self, again: Pass) -> Decoded:
        """Give the first pass with the words of the second, unless that fails or hears nothing."""
        try:
            # A fresh one for each segment: what it says depends on nothing but the segment.
            decoder = await again.decoders.open(options=again.options)
            try:
                words = await self._hear(again, decoder)
            finally:
                decoder.close()
        except ScribewireError as error:
            _log.warning("A second pass failed", extra={"reason": str(error)})
            return again.first
        return msgspec.structs.replace(again.first, words=words) if words else again.first

    async def _hear(self, again: Pass, decoder: Decoder) -> tuple[Word, ...]:
        for _ in range(MAX_AGAIN):
            at, piece = 0, again.decoders.piece_windows
            while at < len(again.windows) and not again.settled:
                windows = list(again.windows[at : at + piece])
                quantum = Quantum(again.first_sample if at == 0 else None, windows, at + piece >= len(again.windows))
                [decoded] = await again.decoders.decode([(decoder, quantum)])
                again.account(decoded.cpu_s, s_of_samples(sum(map(len, windows)) // 2))
                if decoded.again:
                    break
                if decoded.words is not None:
                    return decoded.words
                at += piece
            if again.settled:
                return ()
        raise EngineFailed("The decoder does not get on.")
