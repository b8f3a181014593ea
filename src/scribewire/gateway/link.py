"""The gateway's end of a link: one worker, its streams, and whether it still lives."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from scribewire.errors import LinkBroken
from scribewire.frames import (
    BEAT_S,
    LOST_AFTER_S,
    MAX_AUDIO_BYTES,
    VERSION,
    WINDOW_S,
    Abort,
    Audio,
    Beat,
    Broken,
    Consumed,
    Drain,
    Draining,
    FinalResult,
    Finish,
    Finished,
    Flush,
    Flushed,
    Frame,
    FrameReader,
    Hello,
    Load,
    Open,
    Opened,
    PartialResult,
    Refused,
    Settled,
    Welcome,
    encode,
)
from scribewire.scalers.base import UnixAddress, parse_address

# One write for what gathers meanwhile: 200 streams of 100 ms frames share 200 writes a second instead of 2,000.
FLUSH_S: Final = 0.005
CONNECT_WAIT_S: Final = 2.0
# A worker forks or loads a decoder for a new stream; past this another worker is the better bet.
OPEN_WAIT_S: Final = 5.0
# Our own loop was late by this much: what the worker said meanwhile is not read yet, so its silence proves nothing.
_STALL_S: Final = 0.1
# Between two looks at a silent worker the loop must have read its socket.
_SHORTEST_WATCH_S: Final = 0.05
# Sessions keep within the window, so a backlog of twice that means a worker that beats but does not read.
_BACKLOG_BYTES_PER_SLOT: Final = int(2 * WINDOW_S * 32_000)

Listener = Callable[[Frame], None]

_StreamFrame = Opened | Refused | PartialResult | FinalResult | Settled | Consumed | Flushed | Finished | Broken
_OF_A_STREAM: Final = frozenset(_StreamFrame.__args__)
_LAST: Final = frozenset((Refused, Finished, Broken))
_PHASES: Final = frozenset(("loading", "ready", "draining", "failed"))
_ANSWERS: Final = frozenset((Opened, Refused))


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What a session wants of a worker. `replacement` marks one that had a stream and lost it."""

    session: str
    language: str
    type: str
    first_sample: int
    partial: bool
    actual_numbers: bool
    resume: bytes = field(repr=False)
    replacement: bool = False
    vocabulary: tuple[str, ...] = ()
    key_id: str = ""


class RemoteStream:
    """One stream in a worker. Nothing here blocks or calls the listener: frames do, later, until a last one.

    After Finished, Broken or `abort` the listener hears nothing more, and all that is asked is ignored.
    """

    __slots__ = ("_answered", "_link", "_listener", "_word", "hear", "number", "worker")

    def __init__(self, link: WorkerLink, number: int, listener: Listener) -> None:
        self.worker = link.worker
        self.number = number
        self.hear: Listener = self._hear_answer
        self._link = link
        self._listener = listener
        self._word: Frame | None = None
        self._answered = asyncio.Event()

    @property
    def opening(self) -> bool:
        """Say whether it is not handed over yet."""
        return self.hear == self._hear_answer

    def feed(self, pcm: bytes) -> None:
        """Send audio that follows what was fed before: s16le, whole samples, any length."""
        if len(pcm) <= MAX_AUDIO_BYTES:
            self._link.say(self.number, Audio(self.number, pcm))
            return
        for start in range(0, len(pcm), MAX_AUDIO_BYTES):
            self._link.say(self.number, Audio(self.number, pcm[start : start + MAX_AUDIO_BYTES]))

    def flush(self, mark: int) -> None:
        """Ask for the finals of all that was fed; Flushed answers."""
        self._link.say_now(self.number, Flush(self.number, mark))

    def finish(self) -> None:
        """Ask for the rest; Finished answers."""
        self._link.say_now(self.number, Finish(self.number))

    def abort(self) -> None:
        """Forget the stream. Twice is once."""
        self._link.forget(self.number)

    async def hand_over(self) -> Opened | Refused | Broken:
        """Wait for the worker's answer; from Opened on, frames go to the listener. Cancelled, it aborts the stream."""
        try:
            async with asyncio.timeout(OPEN_WAIT_S):
                await self._answered.wait()
        except TimeoutError:
            self.abort()
            return Broken(self.number, "the worker did not answer in time")
        except asyncio.CancelledError:
            self.abort()
            raise
        assert isinstance(self._word, Opened | Refused | Broken)
        if self._link.draining:
            self.abort()
            return Broken(self.number, "the worker is draining")
        self.hear = self._listener
        return self._word

    def _hear_answer(self, frame: Frame) -> None:
        # Broken may follow Opened before the opener has run again. Anything else needs audio first, or repeats itself.
        if type(frame) in _ANSWERS or type(frame) is Broken:
            self._word = frame
            self._answered.set()


class WorkerLink(asyncio.Protocol):
    """The connection to one worker, made by `connect`. `on_change` is called after anything that placing looks at."""

    def __init__(self, worker: str, *, on_change: Callable[[], None]) -> None:
        self.worker = worker
        self.pid = 0
        self.load: Load | None = None
        self.draining = False
        # Set by a refusal, until the worker says anew how it is.
        self.refusing = False
        self.lost_reason: str | None = None
        self._on_change = on_change
        self._streams: dict[int, RemoteStream] = {}
        self._opened = 0
        self._reader = FrameReader()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._watch_timer: asyncio.TimerHandle | None = None
        self._watch_due = 0.0
        self._heard = 0.0
        self._welcomed = asyncio.Event()
        self._lost = asyncio.Event()

    # --- what the fleet asks ------------------------------------------------------------------------------------------

    @property
    def live(self) -> int:
        """Count the streams that hold a slot, those being opened included."""
        return len(self._streams)

    @property
    def ready(self) -> bool:
        """Say whether the worker serves streams."""
        return self.lost_reason is None and self.load is not None and self.load.phase == "ready" and not self.draining

    @property
    def free(self) -> int:
        """Count the streams that may be opened now."""
        if not self.ready or self.refusing or self.load is None:
            return 0
        return max(0, self.load.slots - len(self._streams))

    def open(self, request: StreamRequest, listener: Listener) -> RemoteStream:
        """Ask the worker for a slot. Its answer is what `hand_over` waits for."""
        self._opened += 1
        stream = RemoteStream(self, self._opened, listener)
        self._streams[stream.number] = stream
        self.say_now(
            stream.number,
            Open(
                stream=stream.number,
                session=request.session,
                language=request.language,
                type=request.type,
                first_sample=request.first_sample,
                partial=request.partial,
                actual_numbers=request.actual_numbers,
                resume=request.resume,
                vocabulary=request.vocabulary,
            ),
        )
        return stream

    async def wait_lost(self) -> None:
        """Wait until the link is lost, however long that takes."""
        await self._lost.wait()

    async def wait_welcome(self) -> None:
        """Wait for the worker's answer to Hello.

        Raises LinkBroken when the link is lost instead.
        """
        await self._welcomed.wait()
        if self.lost_reason is not None:
            raise LinkBroken(f"The worker was lost: {self.lost_reason}.")

    def close(self) -> None:
        """End the link; streams that are still live break."""
        self._lose("the gateway closed the link", expected=True)

    # --- what streams ask ---------------------------------------------------------------------------------------------

    def say(self, number: int, frame: Frame) -> None:
        """Send a frame of a live stream with what gathers in the next milliseconds."""
        if number in self._streams:
            self._unsent.append(encode(frame))
            if self._flush_timer is None:
                self._flush_timer = self._loop.call_later(FLUSH_S, self._flush)

    def say_now(self, number: int, frame: Frame) -> None:
        """Send a frame of a live stream, and all before it, at once."""
        if number in self._streams:
            self._send(frame)

    def forget(self, number: int) -> None:
        """Drop a stream and tell the worker."""
        if self._streams.pop(number, None) is not None:
            self._send(Abort(number))
            # Not from inside the caller: placing may open a stream, and the caller may be about to do the same.
            self._loop.call_soon(self._on_change)

    def drain(self) -> None:
        """Have the worker take no more streams and end with its last."""
        self._send(Drain())

    # --- the transport ------------------------------------------------------------------------------------------------

    def greet(self, gateway: str, secret: str) -> None:
        """Speak first, and begin to watch."""
        self._heard = self._loop.time()
        self._watch_in(BEAT_S)
        self._send(Hello(VERSION, gateway, secret))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own transports do not derive from it

    def data_received(self, data: bytes) -> None:
        """Hand out the frames that `data` completes."""
        self._heard = self._loop.time()
        try:
            for frame in self._reader.feed(data):
                if self.lost_reason is None:
                    self._receive(frame)
        except LinkBroken as error:
            self._lose(f"it could not be understood ({error})")

    def connection_lost(self, exc: Exception | None) -> None:
        """Take it for the worker's end."""
        self._lose("it closed the connection" if exc is None else "the connection broke")

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        if self._unsent and self._transport is not None:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def _send(self, frame: Frame) -> None:
        if self.lost_reason is None:
            self._unsent.append(encode(frame))
            self._flush()

    # --- what the worker says -----------------------------------------------------------------------------------------

    def _receive(self, frame: Frame) -> None:
        kind = type(frame)
        if kind in _OF_A_STREAM:
            self._receive_of_stream(frame)
        elif isinstance(frame, Load):
            self._receive_load(frame)
        elif isinstance(frame, Draining):
            self._drain(frame)
        elif isinstance(frame, Welcome):
            self._receive_welcome(frame)
        elif kind is not Beat:
            raise LinkBroken(f"{kind.__name__} is not for a worker to say.")

    def _receive_of_stream(self, frame: Frame) -> None:
        number: int = frame.stream  # type: ignore[attr-defined] # every kind in _OF_A_STREAM has it
        stream = self._streams.get(number)
        if stream is None:
            return  # the late word of a stream that was aborted
        kind = type(frame)
        if kind in _ANSWERS and not stream.opening:
            raise LinkBroken("A stream was answered twice.")
        if kind is Refused:
            self.refusing = True
        if kind not in _LAST:
            stream.hear(frame)
            return
        del self._streams[number]
        stream.hear(frame)
        self._on_change()

    def _receive_load(self, load: Load) -> None:
        if load.phase not in _PHASES:
            raise LinkBroken("it is in a phase that nobody knows")
        self.load = load
        self.refusing = False
        if load.phase == "draining":
            self._drain(Draining(load.reason))
        self._on_change()

    def _receive_welcome(self, welcome: Welcome) -> None:
        if welcome.version != VERSION:
            raise LinkBroken(f"it speaks version {welcome.version} of the link, not {VERSION}")
        self.pid = welcome.pid
        self._welcomed.set()

    def _drain(self, frame: Draining) -> None:
        if self.draining:
            return
        self.draining = True
        for stream in tuple(self._streams.values()):
            stream.hear(frame)
        self._on_change()

    # --- life and death -----------------------------------------------------------------------------------------------

    def _watch_in(self, delay_s: float) -> None:
        self._watch_due = self._loop.time() + delay_s
        self._watch_timer = self._loop.call_later(delay_s, self._watch)

    def _watch(self) -> None:
        """Beat, and declare the worker lost when it was silent too long while our own loop ran."""
        now = self._loop.time()
        late_s = now - self._watch_due
        if late_s >= _STALL_S:
            self._heard = min(now, self._heard + late_s)
        elif now - self._heard >= LOST_AFTER_S:
            self._lose("it stopped answering")
            return
        if self._backlog_bytes() > _BACKLOG_BYTES_PER_SLOT * (1 + (self.load.slots if self.load else 0)):
            self._lose("it stopped reading")
            return
        self._send(Beat())
        self._watch_in(min(BEAT_S, max(_SHORTEST_WATCH_S, self._heard + LOST_AFTER_S - now)))

    def _backlog_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _lose(self, reason: str, *, expected: bool = False) -> None:
        """End the link once; every live stream breaks."""
        if self.lost_reason is not None:
            return
        self.lost_reason = reason
        for timer in (self._watch_timer, self._flush_timer):
            if timer is not None:
                timer.cancel()
        if self._transport is not None:
            # What is being closed on purpose may still be sent; what is lost may not hold our memory.
            (self._transport.close if expected else self._transport.abort)()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.hear(Broken(stream.number, reason))
        self._unsent.clear()
        self._welcomed.set()
        self._lost.set()
        self._on_change()


async def connect(
    worker: str,
    address: str,
    *,
    gateway: str,
    secret: str = "",
    tls: ssl.SSLContext | None = None,
    on_change: Callable[[], None],
) -> WorkerLink:
    """Connect to a worker and exchange greetings, within CONNECT_WAIT_S; on TCP with TLS where it is given.

    Raises LinkBroken when nobody listens there, or whoever does is no worker of this version.
    """
    loop = asyncio.get_running_loop()
    target = parse_address(address)
    link = WorkerLink(worker, on_change=on_change)
    try:
        async with asyncio.timeout(CONNECT_WAIT_S):
            if isinstance(target, UnixAddress):
                await loop.create_unix_connection(lambda: link, target.path)
            else:
                await loop.create_connection(lambda: link, target.host, target.port, ssl=tls)
            link.greet(gateway, "" if isinstance(target, UnixAddress) else secret)
            await link.wait_welcome()
    except TimeoutError as error:
        link.close()
        raise LinkBroken("The worker did not answer in time.") from error
    except ssl.SSLCertVerificationError as error:
        link.close()
        raise LinkBroken("The worker's certificate is not one that worker.authority vouches for.") from error
    except OSError as error:
        link.close()
        raise LinkBroken(f"The worker could not be reached ({error.strerror or 'unknown host'}).") from error
    except asyncio.CancelledError:
        link.close()
        raise
    return link
