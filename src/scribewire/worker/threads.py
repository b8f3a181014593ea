"""Decoders of an engine that lets go of the GIL: one loaded engine, stepped by a few threads of the worker itself."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from scribewire.engines.base import PLAIN, Engine, Options, Stream
from scribewire.errors import EngineFailed, ScribewireError
from scribewire.worker.quanta import Decoded, Decoder, Decoders, Quantum, decode_all

# As for lanes; a thread cannot be killed, so what hangs keeps its thread.
DECODE_WAIT_S: Final = 10.0
# As long as a gateway waits for the answer, less the way.
OPEN_WAIT_S: Final = 4.0


class ThreadDecoder(Decoder):
    """A stream of the shared engine."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def close(self) -> None:
        self.stream.close()


class ThreadDecoders(Decoders):
    """One engine of the worker's process."""

    piece_windows = sys.maxsize
    apart = False

    def __init__(self, engine: Engine, choice: str, threads: int) -> None:
        self._engine = engine
        self._choice = choice
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        # No clock tells what the library's threads spend on one call; while there are cores for all, the time it takes.
        self._clock = time.monotonic if engine.traits.own_threads else time.thread_time
        self.batch = engine.traits.batch
        self.windowed = engine.traits.windowed

    async def load(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._engine.load)
        except ScribewireError:
            raise
        except Exception as error:
            raise EngineFailed(f"The engine {self._choice} broke while loading.") from error

    async def open(self, resume: bytes = b"", options: Options = PLAIN) -> ThreadDecoder:
        try:
            async with asyncio.timeout(OPEN_WAIT_S):
                # Not in the pool: a stream may want a model loaded first, and nobody's decoding is to wait for that.
                return ThreadDecoder(await asyncio.to_thread(self._engine.open, resume, options))
        except TimeoutError as error:
            raise EngineFailed(f"The engine {self._choice} opened no stream in time.") from error
        except Exception as error:
            raise EngineFailed(f"The engine {self._choice} opened no stream.") from error

    async def decode(self, work: Sequence[tuple[Decoder, Quantum]]) -> list[Decoded]:
        streams = [(_stream_of(decoder), quantum) for decoder, quantum in work]
        step = asyncio.get_running_loop().run_in_executor(self._pool, decode_all, self._engine, streams, self._clock)
        try:
            async with asyncio.timeout(DECODE_WAIT_S):
                return await step
        except TimeoutError as error:
            raise EngineFailed("The decoder did not answer in time.") from error
        except Exception as error:
            raise EngineFailed("The decoder broke.") from error

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._engine.close()


def _stream_of(decoder: Decoder) -> Stream:
    assert isinstance(decoder, ThreadDecoder), "a decoder of another kind"
    return decoder.stream
