"""A session that outlives its sockets: the audio in, the frames for whichever socket there is, one run of events out.

No I/O, no clock, no chance of its own: `now` is monotonic seconds, `chance` a number from 0 to 1, both passed in. The
shell opens a socket when it `is_due`, sends what `next_frame` gives, and tells what it hears. Each socket has a
number; what comes from any but the present one is of no consequence.

Positions are absolute samples of the caller's audio. What is `settled` can change no more, so the next socket begins
there, and its times are shifted by where it began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import msgspec

from scribewire.client import wire
from scribewire.client.kept import Kept
from scribewire.core.audio import (
    SAMPLE_BYTES,
    WINDOW_SAMPLES,
    ms_of_samples,
    s_of_samples,
    samples_of_ms,
    samples_of_s,
)
from scribewire.core.intake import Intake
from scribewire.errors import Disconnected, ScribewireError, Unreachable

# A second of audio in a frame lets stop, flush and partials through between two; the contract allows a megabyte.
FRAME_SAMPLES: Final = samples_of_s(1)
_FRAME_BYTES: Final = FRAME_SAMPLES * SAMPLE_BYTES
# That may be unanswered; the service complains of a few more.
MOST_FLUSHES: Final = 8
# A recogniser that learns a voice learns it from the first words, and a detector of speech remembers a while. So that
# those who begin in the middle know what they would, a socket after the first is sent the session's first utterance
# again (or as much of it), and what stands before the place where it goes on, each followed by a flush. What is heard
# in either is given to nobody.
PREFACE_SAMPLES: Final = samples_of_s(5)
WARM_UP_SAMPLES: Final = samples_of_s(3)
SILENCE_SAMPLES: Final = samples_of_ms(500)  # before the first utterance
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 8.0
# A socket that served this long was a good one: the next loss is counted as the first.
STEADY_S: Final = 5.0
# How long after `stopped` the close, and with it the reason for it, is waited for.
CLOSE_WAIT_S: Final = 2.0

_RECOGNISER_FRAME_BYTES: Final = samples_of_ms(10) * SAMPLE_BYTES
# An utterance is cut after a minute at the latest: so long without a final, nothing is being said.
_WORDLESS_SAMPLES: Final = samples_of_s(60)
# RFC 6455 section 7.4.1: what was sent is at fault, and would be again.
_FAULTS: Final = {1002, 1003, 1007, 1008, 1009, 1010}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long to wait for what, and how much to keep."""

    # From the loss of a socket until the session is given up, in which it may be tried any number of times.
    patience_s: float = 120.0
    # Audio that is kept to be sent again.
    kept_s: float = 300.0
    # From `start` until the service listens: a worker may have to start first.
    listen_wait_s: float = 150.0


class _Own(Enum):
    """A flush of ours, whose answer is for nobody else."""

    MARK = auto()


class _Phase(Enum):
    WAITING = auto()  # for the time of the next attempt
    CONNECTING = auto()
    STARTING = auto()  # `start` is said, `listening` is not
    LISTENING = auto()
    OVER = auto()


class Course:
    """One session, from its first sample to its end, whatever becomes of its sockets.

    `error` is what ended it, if it was not `stopped`.
    """

    def __init__(self, options: Mapping[str, object], bounds: Bounds | None = None, *, now: float) -> None:
        self.socket = 0
        self.error: ScribewireError | None = None
        self._options = options
        self._bounds = bounds or Bounds()
        self._phase = _Phase.WAITING
        self._deadline: float | None = now
        self._events: deque[wire.Event] = deque()

        self._intake = Intake()
        self._kept = Kept(samples_of_s(self._bounds.kept_s))
        self._settled = 0
        self._flushes: deque[tuple[int, str | int | _Own | None, int]] = deque()  # number, mark, position
        self._asked = 0  # for finals of what lies before
        self._last_flush = 0
        self._preface = b""
        self._is_stopping = False

        # Of the present socket:
        self._base = 0  # where in the session its audio begins
        self._cursor = 0  # what is sent next
        self._start_said = False
        self._first_frames: deque[str | bytes] = deque()  # sent before anything else
        self._flushed_until = 0  # the number of the last flush that was asked for on it
        self._stop_said = False
        self._stopped = False
        self._listening_at_s = 0.0
        self._is_good = False

        self._has_listened = False  # on any socket
        self._sent_until = 0
        self._shown_ms = 0  # the position of the last partial given
        self._attempts = 0  # since `_lost_at_s`, when the last good socket was lost
        self._lost_at_s: float | None = None

    # --- the caller --------------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Say whether nothing will follow but the events not taken yet."""
        return self._phase is _Phase.OVER

    @property
    def behind_samples(self) -> int:
        """Give how much audio waits to be sent."""
        return self._kept.end_sample - self._cursor

    def hear(self, audio: bytes) -> None:
        """Take audio: PCM or a WAV stream, s16le, 16 kHz, mono, cut anywhere.

        Raises UnsupportedAudio when a WAV header announces anything else.
        """
        if self._is_stopping:
            return
        self._kept.append(self._intake.push(audio))
        # Where nothing is said, no final tells that the service is done with it, and all of it would be kept.
        wordless = self._kept.end_sample - max(self._settled, self._asked)
        if self._phase is _Phase.LISTENING and wordless >= max(_WORDLESS_SAMPLES, self._kept.bound_samples // 2):
            self._ask(_Own.MARK)

    def flush(self, mark: str | int | None) -> None:
        """Ask for the finals of all audio so far; Flushed with this mark follows them."""
        self._ask(mark)

    def _ask(self, mark: str | int | _Own | None) -> None:
        self._last_flush += 1
        self._asked = self._kept.end_sample
        self._flushes.append((self._last_flush, mark, self._asked))

    def stop(self) -> None:
        """Ask for the rest: the session is over after it."""
        if not self._is_stopping:
            self._kept.append(self._intake.end())
            self._ask(_Own.MARK)
            self._is_stopping = True

    def take_events(self) -> list[wire.Event]:
        """Take what happened since this was asked last, in order."""
        events = list(self._events)
        self._events.clear()
        return events

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """Give when to connect, or else when to `wake`; None when there is nothing to wait for but the socket."""
        return self._deadline

    @property
    def awaits_connection(self) -> bool:
        """Say whether a socket is to be opened at the deadline."""
        return self._phase is _Phase.WAITING

    def wake(self, now: float, chance: float) -> None:
        """Give up what did not come until the deadline."""
        if self._deadline is None or now < self._deadline:
            return
        if self._phase is _Phase.STARTING:
            wait_s = self._bounds.listen_wait_s
            self._lose(Unreachable(f"The service did not listen within {wait_s:g} s."), now, chance)
        elif self._phase is _Phase.LISTENING:
            # All was said; only the close is missing.
            if self._is_all_heard:
                self._end(None)
            else:
                self._lose(Disconnected(), now, chance)

    # --- the socket --------------------------------------------------------------------------------------------------

    def connect(self) -> int:
        """Begin an attempt; give the number of the socket that is now to be opened."""
        self.socket += 1
        self._attempts += 1
        self._phase, self._deadline = _Phase.CONNECTING, None
        return self.socket

    def opened(self, socket: int, now: float) -> None:
        """Begin with a socket that is open."""
        if socket == self.socket and self._phase is _Phase.CONNECTING:
            self._phase, self._deadline = _Phase.STARTING, now + self._bounds.listen_wait_s
            self._start_said = self._stop_said = self._stopped = self._is_good = False

    def failed(self, socket: int, error: ScribewireError, now: float, chance: float) -> None:
        """Take that a socket could not be opened."""
        if self._uses(socket):
            self._lose(error, now, chance)

    def closed(self, socket: int, code: int, reason: str, now: float, chance: float) -> None:
        """Take that a socket closed, with 1006 when it just broke."""
        if not self._uses(socket):
            return
        if self._is_all_heard:
            self._end(None)
        elif code in _FAULTS:
            self._end(ScribewireError(f"The service closed the session with code {code}: {reason or 'no reason'}."))
        else:
            self._lose(Disconnected(), now, chance)

    def is_present(self, socket: int) -> bool:
        """Say whether a socket is of any use still; otherwise it is to be closed."""
        return self._uses(socket)

    def next_frame(self, socket: int) -> str | bytes | None:
        """Give what is to be sent next, text or audio; None when there is nothing for now."""
        if not self._uses(socket) or self._stop_said:
            return None
        if self._phase is _Phase.STARTING and not self._start_said:
            self._start_said = True
            return _spell({"action": "start", **self._options})
        return self._next_of_session() if self._phase is _Phase.LISTENING else None

    def _next_of_session(self) -> str | bytes | None:
        if self._first_frames:
            return self._first_frames.popleft()
        end = self._kept.end_sample
        number, position = next(((n, at) for n, _, at in self._flushes if n > self._flushed_until), (0, end))
        if self._cursor < position:
            return self._next_audio(position)
        if number:
            if number - self._flushes[0][0] >= MOST_FLUSHES:
                return None
            self._flushed_until = number
            return _spell({"action": "flush", "id": number})
        if self._is_stopping:
            self._stop_said = True
            return _spell({"action": "stop"})
        return None

    def _next_audio(self, end: int) -> bytes:
        start = self._cursor
        self._cursor = min(end, start + FRAME_SAMPLES)
        self._report_lost(start, self._cursor)
        self._sent_until = max(self._sent_until, self._cursor)
        return self._kept.read(start, self._cursor)

    # --- what the service says ---------------------------------------------------------------------------------------

    def receive(self, socket: int, text: str | bytes, now: float, chance: float) -> None:
        """Take a message."""
        if not self._uses(socket):
            return
        try:
            message = wire.parse(text)
        except ScribewireError as error:
            self._lose(error, now, chance)
            return
        if isinstance(message, wire.State):
            self._take_state(message, now)
        elif self._phase is _Phase.LISTENING:
            if isinstance(message, wire.Final):
                self._take_final(message)
            elif isinstance(message, wire.Partial):
                self._take_partial(message)
            else:
                self._take_flushed(message)

    def _take_state(self, state: wire.State, now: float) -> None:
        if state.state == "stopped":
            self._stopped, self._deadline = True, now + CLOSE_WAIT_S
        elif state.state == "listening" and self._phase is _Phase.STARTING:
            self._phase, self._deadline = _Phase.LISTENING, None
            self._begin()
            self._events.append(self._reconnected(state, now) if self._has_listened else state)
            self._listening_at_s, self._has_listened = now, True
        elif self._phase is _Phase.LISTENING:
            self._events.append(state)

    def _reconnected(self, state: wire.State, now: float) -> wire.Reconnected:
        return wire.Reconnected(
            self._attempts,
            round(now - (self._lost_at_s if self._lost_at_s is not None else now), 3),
            s_of_samples(max(0, self._sent_until - self._cursor)),
            state.session_id or "",
        )

    def _begin(self) -> None:
        """Choose where the socket's audio begins: at what is settled, or where anything is kept after that."""
        begin = self._kept.held_from(self._settled)
        self._report_lost(self._settled, begin)
        self._settled = begin
        self._cursor = max(begin - WARM_UP_SAMPLES, self._kept.first_sample)
        preface = self._preface if self._cursor > 0 else b""
        # Recognisers count in frames of 10 ms: they are to fall where they fell.
        preface += bytes((self._cursor * SAMPLE_BYTES - len(preface)) % _RECOGNISER_FRAME_BYTES)
        self._base = self._cursor - len(preface) // SAMPLE_BYTES
        self._first_frames = deque(_cut(preface))
        if preface:
            self._first_frames.append(_OWN_FLUSH)
        if self._cursor < begin:
            self._first_frames += [*_cut(self._kept.read(self._cursor, begin)), _OWN_FLUSH]
            self._cursor = begin
        self._flushed_until = 0

    def _take_final(self, final: wire.Final) -> None:
        end = self._position(final.offset_ms)
        if end <= self._settled:
            return
        words = tuple(word for word in final.words if self._base + samples_of_ms(word.end_ms) > self._settled)
        text = final.text if len(words) == len(final.words) else " ".join(word.text for word in words)
        shifted = tuple(self._shift(word) for word in words)
        if shifted and not self._preface:
            self._preface = self._preface_of(shifted[0], end)
        self._settle(end)
        self._is_good = True
        if text:
            self._events.append(msgspec.structs.replace(final, text=text, words=shifted, offset_ms=ms_of_samples(end)))

    def _take_partial(self, partial: wire.Partial) -> None:
        position = self._position(partial.offset_ms)
        offset_ms = ms_of_samples(position)
        # What was shown before the socket was lost is shown until more is known.
        if position > self._settled and offset_ms >= self._shown_ms:
            self._shown_ms = offset_ms
            self._is_good = True
            self._events.append(msgspec.structs.replace(partial, offset_ms=offset_ms))

    def _take_flushed(self, flushed: wire.Flushed) -> None:
        while self._flushes and isinstance(flushed.flushed, int) and self._flushes[0][0] <= flushed.flushed:
            _, mark, position = self._flushes.popleft()
            self._settle(position)
            self._is_good = True
            if not isinstance(mark, _Own):
                self._events.append(wire.Flushed(mark))

    # --- positions ---------------------------------------------------------------------------------------------------

    def _position(self, offset_ms: int) -> int:
        """Give the position that a socket's milliseconds stand for, never past what was sent."""
        return min(self._base + samples_of_ms(offset_ms), self._cursor)

    def _preface_of(self, first_word: wire.Word, end: int) -> bytes:
        """Give the audio of the session's first utterance, with some silence before it."""
        start = max(samples_of_ms(first_word.start_ms) - SILENCE_SAMPLES, self._kept.first_sample)
        start -= start % WINDOW_SAMPLES  # where a window of the service began
        return self._kept.read(max(start, self._kept.first_sample), min(end, start + PREFACE_SAMPLES))

    def _shift(self, word: wire.Word) -> wire.Word:
        settled_ms = ms_of_samples(self._settled)
        start, end = (
            max(ms_of_samples(self._base + samples_of_ms(at)), settled_ms) for at in (word.start_ms, word.end_ms)
        )
        return wire.Word(word.text, start, end, word.confidence)

    def _settle(self, position: int) -> None:
        self._settled = max(self._settled, position)
        self._kept.release(self._settled - WARM_UP_SAMPLES)

    def _report_lost(self, start: int, end: int) -> None:
        for first, last, silent in self._kept.take_lost(start, end):
            self._events.append(wire.AudioLost(ms_of_samples(first), ms_of_samples(last), silent))

    # --- the end of a socket, and of all -----------------------------------------------------------------------------

    @property
    def _is_all_heard(self) -> bool:
        # A service says `stopped` for reasons of its own too, and then ignores what is still on its way: only the
        # answer to the last flush says that all was heard.
        return self._stopped and self._stop_said and not self._flushes

    def _uses(self, socket: int) -> bool:
        return socket == self.socket and self._phase in (_Phase.CONNECTING, _Phase.STARTING, _Phase.LISTENING)

    def _lose(self, error: ScribewireError, now: float, chance: float) -> None:
        """Wait for the next attempt, unless another would be in vain or too late."""
        if self._phase is _Phase.LISTENING and (self._is_good or now - self._listening_at_s >= STEADY_S):
            self._lost_at_s = None
        # An address where nothing ever answered is a wrong one; a service that says when to come again is not.
        if not error.retryable or not (self._has_listened or error.retry_after_s is not None):
            self._end(error)
            return
        if self._lost_at_s is None:
            self._attempts, self._lost_at_s = 0, now
        due = now + delay_s(self._attempts, chance, retry_after_s=error.retry_after_s)
        if due > self._lost_at_s + self._bounds.patience_s:
            self._end(error)
            return
        self._phase, self._deadline = _Phase.WAITING, due
        self._cursor = self._settled

    def _end(self, error: ScribewireError | None) -> None:
        self._phase, self._deadline, self.error = _Phase.OVER, None, error


def delay_s(losses: int, chance: float, *, retry_after_s: float | None = None) -> float:
    """Give how long to wait after so many attempts in vain: twice as long each time, up to a half less by chance.

    A service that says when to come again is obeyed, and its clients spread over another second.
    """
    if retry_after_s is not None:
        return retry_after_s + chance
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(losses, 16)) * (1 - chance / 2))


def _cut(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + _FRAME_BYTES] for at in range(0, len(pcm), _FRAME_BYTES)]


def _spell(message: Mapping[str, Any]) -> str:
    return msgspec.json.encode(message).decode()


# Numbered below every flush of the caller's.
_OWN_FLUSH: Final = _spell({"action": "flush", "id": 0})
