"""The session machine: decides everything that a session does, and does none of it.

    receive(event, now) -> commands, to be carried out in order; `deadline` is when to send it `Woken`.

States go NEW → OPENING → LISTENING → FINISHING → CLOSED, never back. Beside them the stream has a state of its own: a
cold start, a worker's death and a hand-over are all the same thing: no stream now, audio kept, ask for another.
`transitions.TABLE` says what each event does in each state; an empty cell means that it is of no consequence there.
"""

from __future__ import annotations

from math import inf
from typing import Final as Constant

from scribewire.core import events as ev
from scribewire.core.feed import Feed
from scribewire.core.flushes import Flush
from scribewire.core.intake import Intake
from scribewire.core.kept import KeptAudio
from scribewire.core.limits import MAX_BAD_MESSAGES, MAX_LOSSES, MAX_PAUSE_S, RESUME_SAMPLES, Limits
from scribewire.core.pacing import PartialPacer
from scribewire.core.transitions import ON_TIMER, TABLE, State, StreamState, Timer
from scribewire.core.words import bound_words
from scribewire.errors import (
    AtCapacity,
    BadMessage,
    EngineFailed,
    ScribewireError,
    ServiceStopping,
    SlowReader,
    StartTimeout,
    TooManyBadMessages,
    UnsupportedAudio,
)

_NOT_LISTENING: Constant = "The session is not listening: there is nothing to flush."


class Session:
    """One client's conversation, from the open socket to the report."""

    def __init__(self, limits: Limits, *, now: float) -> None:
        self.state = State.NEW
        self.stream_state = StreamState.NONE
        self.kept = KeptAudio()
        self._limits = limits
        self._now = now
        self._out: list[ev.Command] = []
        self._timers: dict[Timer, float] = {Timer.START: now + limits.start_wait_s}
        self._started_at_s = now

        self._options = ev.StartOptions()
        self._intake = Intake()
        self._pacer = PartialPacer()
        self._held_messages: list[ev.Message] = []  # for after `listening`

        self._stream = 0
        self._feed = Feed(self.kept, limits)
        self._offset = 0  # the latest position told to the client
        self._losses_in_a_row = 0

        self._stopping = False
        self._paused = False
        self._draining = False
        self._close_code = 1000
        self._counts: dict[str, int] = {}
        self._listening_after_s: float | None = None

    # --- the surface -------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """Give the time at which the session must be sent `Woken`; None once it is closed."""
        return min(self._timers.values(), default=None)

    def receive(self, event: ev.Event, now: float) -> list[ev.Command]:
        """Take an event and give the commands that follow from it, in order."""
        self._now = now
        self._out = []
        name = TABLE[type(event)].get(self.state)
        if name is not None and getattr(event, "stream", self._stream) == self._stream:
            getattr(self, "_" + name)(event)
        return self._out

    # --- the client speaks -------------------------------------------------------------------------------------------

    def _begin(self, event: ev.Started) -> None:
        """Ask for admission; audio is kept from here on."""
        self.state = State.OPENING
        self._options = event.options
        self._started_at_s = self._now
        self._disarm(Timer.START)
        self._arm(Timer.OPEN, self._limits.open_wait_s)
        self._say(ev.Admit(event.options))

    def _refuse_second_start(self, event: ev.Started) -> None:
        """Complain; the session goes on."""
        if self._stopping:
            self._refuse_start_after_stop(event)
        else:
            self._complain(BadMessage("The session is already started."))

    def _refuse_start_after_stop(self, event: ev.Started) -> None:
        """Complain; the finals and `stopped` still follow, then close 1008."""
        if self._close_code == 1000:
            self._close_code = 1008
        self._complain(BadMessage("The session is stopping; connect again to start another."))

    def _discard_audio(self, event: ev.AudioReceived) -> None:
        """Count it and let it go."""
        self._count("discarded_bytes", len(event.pcm))

    def _keep_audio(self, event: ev.AudioReceived) -> None:
        """Keep it, feed what the stream may have, hold the client back when that is much."""
        if self._stopping:
            self._discard_audio(event)
            return
        self._touch()
        try:
            self.kept.append(self._intake.push(event.pcm))
        except UnsupportedAudio as error:
            self._fail(error)
            return
        self._pump()
        self._hold_back()

    def _stop_at_once(self, event: ev.Event) -> None:
        """Nothing was begun: say `stopped` and close."""
        self._say(ev.StoppedSaid(self.kept.end_sample))
        self._close(1000)

    def _remember_stop(self, event: ev.Event) -> None:
        """Finish as soon as a stream is there."""
        if not self._stopping:
            self._stopping = True
            self.kept.append(self._intake.end())
            self._read_on()

    def _finish(self, event: ev.Event) -> None:
        """Decode the rest, then say `stopped`."""
        self._remember_stop(event)
        self.state = State.FINISHING
        self._disarm(Timer.IDLE)
        self._pump()

    def _flush(self, event: ev.FlushAsked) -> None:
        """Ask for the finals of all audio so far."""
        self._touch()
        if self._stopping:
            self._refuse_flush(event)
        elif self._feed.flushes.full:
            self._complain(BadMessage("Too many flushes are unanswered."))
        else:
            self._feed.flushes.add(event.id, sample=self.kept.end_sample)
            self._pump()

    def _refuse_flush(self, event: ev.FlushAsked) -> None:
        """Complain: there is nothing to flush."""
        self._complain(BadMessage(_NOT_LISTENING))

    def _misspeak(self, event: ev.Misspoke) -> None:
        """Complain; too many end the session."""
        self._touch()
        self._complain(BadMessage(event.sentence), event.about)

    def _leave(self, event: ev.Event) -> None:
        """Release everything."""
        self._close(1006, gone=True)

    def _drop_reader(self, event: ev.Event) -> None:
        """Close: what waits for the client passed its bound."""
        self._fail(SlowReader())

    # --- the gateway speaks ------------------------------------------------------------------------------------------

    def _open(self, event: ev.Admitted) -> None:
        """Ask the fleet for a stream."""
        if self._stream == 0:
            if event.grant.max_s is not None:
                self._arm(Timer.LENGTH, event.grant.max_s)
            self._open_stream()

    def _deny(self, event: ev.Denied) -> None:
        """Say why and close."""
        self._fail(event.error)

    def _announce_stop(self, event: ev.StopAnnounced) -> None:
        """Tell the client when the service will stop; held until `listening`."""
        self._tell(ev.ShuttingDown(event.at))

    def _close_for_stop(self, event: ev.Event) -> None:
        """Nothing was begun: close 1001."""
        self._close(1001)

    def _stop_for_service(self, event: ev.Event) -> None:
        """Finish within the grace time, then close 1001."""
        if self._close_code == 1000:
            self._close_code = 1001
        self._timers.setdefault(Timer.GRACE, self._now + self._limits.grace_s)
        self._stop()

    def _wake(self, event: ev.Woken) -> None:
        """Do what is due."""
        for timer in list(self._timers):  # what one does may end another or put it off
            if self._timers.get(timer, inf) <= self._now:
                del self._timers[timer]
                getattr(self, "_" + ON_TIMER[timer])()

    # --- the stream speaks -------------------------------------------------------------------------------------------

    def _use_stream(self, event: ev.StreamOpened) -> None:
        """Say `listening` once, and feed what is kept."""
        if self.stream_state is not StreamState.OPENING:
            return
        self.stream_state = StreamState.OPEN
        self._feed.excuse_backlog()
        self._disarm(Timer.OPEN)
        if self.state is State.OPENING:
            self.state = State.FINISHING if self._stopping else State.LISTENING
            self._listening_after_s = self._now - self._started_at_s
            self._say(ev.Listening())
            for message in self._held_messages:
                self._say(message)
            self._held_messages = []
            if not self._stopping:
                self._arm(Timer.IDLE, self._limits.idle_s)
        self._pump()
        self._catch_up()

    def _take_refusal(self, event: ev.StreamRefused) -> None:
        """Say why and close: whoever refuses has waited as long as may be."""
        if self.stream_state is StreamState.OPENING:
            self._fail(event.error)

    def _replace_stream(self, event: ev.Event) -> None:
        """Open another stream at the settled sample; the kept audio is fed again."""
        if self.stream_state is StreamState.NONE:
            return
        self._count("streams_lost")
        self._losses_in_a_row += 1
        if self._losses_in_a_row >= MAX_LOSSES:
            self._fail(EngineFailed())
            return
        self._abort_stream()
        self._open_stream()
        self._catch_up()

    def _prepare_handover(self, event: ev.StreamDraining) -> None:
        """Leave the worker when next something settles, or at the deadline."""
        if self.stream_state is StreamState.OPEN and not self._draining:
            self._draining = True
            self._arm(Timer.HANDOVER, self._limits.handover_s)

    def _advance(self, event: ev.AudioConsumed) -> None:
        """Feed on."""
        if self._live and self._feed.consume(event.sample):
            self._watch(progress=not self._feed.hoarded)
            self._pump()
            self._catch_up()

    def _settle(self, event: ev.AudioSettled) -> None:
        """Let go of audio that cannot change."""
        if self._live:
            sample = min(event.sample, self._feed.fed)
            self._pacer.pass_silence(sample)
            self._settle_at(sample, event.resume)
            if self._options.quiet:
                self._say(ev.Quiet(sample))

    def _give_partial(self, event: ev.PartialHeard) -> None:
        """Pass it on at the pace of the contract."""
        if not self._live or not self._options.partial or not self._feed.settled < event.sample <= self._feed.fed:
            return
        stability = event.stability if 0.0 <= event.stability <= 1.0 else 0.0
        self._send_partial(self._pacer.offer(ev.Partial(event.text, event.sample, stability), self._now))

    def _give_final(self, event: ev.FinalHeard) -> None:
        """Pass it on, once, and settle at its end."""
        if not self._live:
            return
        sample = min(event.sample, self._feed.fed)
        if sample <= self._feed.settled:
            self._count("finals_dropped")
            return
        self._pacer.end_segment(sample)
        self._disarm(Timer.PARTIAL)
        words = bound_words(event.words, self._feed.settled, sample)
        if words:
            self._offset = max(self._offset, sample)
            self._count("finals")
            self._count("words", len(words))
            self._say(ev.Final(words, self._offset))
        self._settle_at(sample, event.resume)

    def _answer_flush(self, event: ev.FlushDone) -> None:
        """Tell the client, in order."""
        flush = self._feed.flushes.answer(event.mark) if self._live else None
        if flush is not None:
            self._say(ev.Flushed(flush.id))
            self._watch(progress=True)

    def _end_stream(self, event: ev.StreamFinished) -> None:
        """Say `stopped`: all audio is handled. A stream that finishes unasked is lost."""
        if self.stream_state is not StreamState.FINISHING:
            self._replace_stream(event)
            return
        self.stream_state = StreamState.NONE
        self._feed.settle(self.kept.end_sample, b"")
        for flush in self._feed.flushes.drain():
            self._say(ev.Flushed(flush.id))
        self._say(ev.StoppedSaid(self.kept.end_sample))
        self._close(self._close_code)

    # --- time is up --------------------------------------------------------------------------------------------------

    def _give_up_start(self) -> None:
        self._fail(StartTimeout())

    def _give_up_open(self) -> None:
        self._fail(AtCapacity(retry_after_s=5) if self.state is State.OPENING else EngineFailed())

    def _finish_idle(self) -> None:
        if self._paused:
            self._touch()  # the client is not silent: it is not being read
        else:
            self._finish(ev.Woken())

    def _stop(self) -> None:
        if self.state is State.LISTENING:
            self._finish(ev.Woken())
        else:
            self._remember_stop(ev.Woken())

    def _give_up_stream(self) -> None:
        self._replace_stream(ev.Woken())

    def _read_on(self) -> None:
        self._disarm(Timer.PAUSE)
        if self._paused:
            self._paused = False
            self._say(ev.ResumeReading())

    def _hand_over(self) -> None:
        if self._draining and self.stream_state is StreamState.OPEN:
            self._abort_stream()
            self._open_stream()

    def _end_grace(self) -> None:
        self._fail(ServiceStopping())

    def _release_partial(self) -> None:
        self._send_partial(self._pacer.release(self._now))

    # --- parts -------------------------------------------------------------------------------------------------------

    @property
    def _live(self) -> bool:
        return self.stream_state in (StreamState.OPEN, StreamState.FINISHING)

    def _open_stream(self) -> None:
        self._stream += 1
        self._feed.rewind()
        self._draining = False
        self.stream_state = StreamState.OPENING
        self._disarm(Timer.HANDOVER, Timer.STALL)
        if self.state is not State.OPENING:
            self._arm(Timer.OPEN, self._limits.replace_wait_s)
        self._say(
            ev.OpenStream(
                self._stream,
                self._feed.settled,
                self._options.partial,
                self._options.actual_numbers,
                self._feed.resume,
                replacement=self.state is not State.OPENING,
                vocabulary=self._options.vocabulary,
            )
        )

    def _abort_stream(self) -> None:
        if self.stream_state is not StreamState.NONE:
            self.stream_state = StreamState.NONE
            self._say(ev.AbortStream(self._stream))

    def _pump(self) -> None:
        """Feed what the stream may have, with each flush at its place, and finish it after the last sample."""
        if self.stream_state is not StreamState.OPEN:
            return
        for part in self._feed.take():
            if isinstance(part, Flush):
                self._say(ev.FlushStream(self._stream, part.mark))
            else:
                self._say(ev.FeedStream(self._stream, part))
        if self._stopping and self._feed.complete:
            self.stream_state = StreamState.FINISHING
            self._say(ev.FinishStream(self._stream))
        self._watch(progress=False)

    def _watch(self, *, progress: bool) -> None:
        """Give a stream that owes something so long to go on, anew with each progress."""
        if not self._feed.owed and self.stream_state is not StreamState.FINISHING:
            self._disarm(Timer.STALL)
        elif progress or Timer.STALL not in self._timers:
            self._arm(Timer.STALL, self._limits.stall_s)

    @property
    def _ahead(self) -> int:
        return self._feed.ahead if self._live else self._feed.overfull

    def _hold_back(self) -> None:
        """Read no further from a client that is too far ahead; with a stream open, only for so long."""
        if not self._paused and self._ahead >= 0:
            self._paused = True
            self._say(ev.PauseReading())
            if self._live:
                self._arm(Timer.PAUSE, MAX_PAUSE_S)

    def _catch_up(self) -> None:
        """Read on once the stream has caught up."""
        if self._paused and self._ahead <= -RESUME_SAMPLES:
            self._read_on()
        elif self._paused and self._live and Timer.PAUSE not in self._timers:
            self._arm(Timer.PAUSE, MAX_PAUSE_S)

    def _settle_at(self, sample: int, resume: bytes) -> None:
        if not self._feed.settle(sample, resume):
            return
        self._losses_in_a_row = 0
        self._watch(progress=True)
        if self._draining:
            self._hand_over()
        self._pump()
        self._catch_up()

    def _send_partial(self, partial: ev.Partial | None) -> None:
        if partial is not None:
            self._offset = max(self._offset, partial.sample)
            self._count("partials")
            self._say(partial)
        due = self._pacer.due
        if due is not None:
            self._timers[Timer.PARTIAL] = due

    def _complain(self, error: BadMessage, about: object = None) -> None:
        self._count("bad_messages")
        if self._counts["bad_messages"] >= MAX_BAD_MESSAGES:
            self._fail(TooManyBadMessages())
            return
        self._tell(ev.Failed(error, about))

    def _tell(self, message: ev.Message) -> None:
        """Send it now, or after `listening`: a client that sent start reads exactly one message and expects that."""
        if self.state is State.OPENING:
            self._held_messages.append(message)
        else:
            self._say(message)

    def _fail(self, error: ScribewireError) -> None:
        self._say(ev.Failed(error))
        self._close(error.close_code or 1011, error=error)

    def _close(self, code: int, *, error: ScribewireError | None = None, gone: bool = False) -> None:
        self._abort_stream()
        if not gone:
            self._say(ev.CloseSocket(code))
        self.state = State.CLOSED
        self._timers = {}
        report = ev.Report(
            received_samples=self.kept.end_sample,
            settled_samples=self._feed.settled,
            streams=self._stream,
            listening_after_s=self._listening_after_s,
            close_code=code,
            error_code=error.code if error else None,
            **self._counts,
        )
        self._say(ev.FileReport(report))

    def _say(self, command: ev.Command) -> None:
        self._out.append(command)

    def _count(self, name: str, by: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + by

    def _touch(self) -> None:
        if self.state is State.LISTENING:
            self._arm(Timer.IDLE, self._limits.idle_s)

    def _arm(self, timer: Timer, after_s: float) -> None:
        self._timers[timer] = self._now + after_s

    def _disarm(self, *timers: Timer) -> None:
        for timer in timers:
            self._timers.pop(timer, None)
