"""OpenAI: the realtime API's transcription sessions, JSON events both ways with audio in base64.

Its transcripts only grow, so a delta holds words that are expected to stay; where a final says otherwise, `completed`
alone is right. Turns are the segments of the speech gate, or, without turn detection, what a client commits.
Source: the event types of the openai package, both those of its realtime and of its beta.realtime module.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import msgspec

from scribewire.core import events as ev
from scribewire.core.audio import SAMPLE_BYTES, AudioFormat, ms_of_samples, s_of_samples, samples_of_s
from scribewire.core.flushes import MAX_FLUSHES
from scribewire.dialects.base import Answer, Dialect, Encoded, Identity, Request
from scribewire.dialects.openai_events import Append, BetaUpdate, Clear, Commit, Complaint, Update, read_event
from scribewire.dialects.openai_session import Options
from scribewire.errors import ScribewireError

_SUBPROTOCOL: Final = "realtime"
_KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."
_BETA_SUBPROTOCOL: Final = "openai-beta.realtime-v1"
_BETA_HEADER: Final = "realtime=v1"
# Some clients send audio beside their first update: so long it is waited for, and the language that it names.
_HELD_S: Final = 0.25
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"


_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Turn:
    """One item: what was heard of it, and what its deltas said of the segment that is open."""

    id: str
    start_sample: int
    finals: list[str] = field(default_factory=list)
    said_words: int = 0  # of the open segment
    spoken: bool = False  # anything
    started: bool = False  # `speech_started` was sent
    end_sample: int = 0
    dropped: bool = False

    def grow(self, words: Sequence[str]) -> str:
        """Give what a delta adds when the open segment begins with these words: those behind what it said before."""
        fresh = words[self.said_words :]
        if not fresh:
            return ""
        gap = " " if self.spoken else ""
        self.said_words, self.spoken = len(words), True
        return gap + " ".join(fresh)

    def end_segment(self, final: ev.Final) -> str:
        """Keep a final, and give what a delta adds to end with it."""
        delta = self.grow([word.text for word in final.words])
        self.said_words = 0
        self.finals.append(final.text)
        return delta


class OpenAI(Dialect):
    """One transcription session."""

    keyed_later = False

    def __init__(self, session_id: str, request: Request) -> None:
        super().__init__(session_id, request)
        self._beta = _BETA_HEADER in request.headers.get("openai-beta", "") or _BETA_SUBPROTOCOL in _subprotocols_of(
            request
        )
        self._options = Options(model=request.query.get("model"), language=super().language)
        self._updated = False
        self._begun = False
        self._held: list[bytes] = []  # audio from before the first update
        self._counter = count(1)
        self._buffered_bytes = 0  # since the last commit
        self._received_s = 0.0
        self._settled_sample = 0
        self._partial_sample = 0
        self._committed_sample = 0  # where the last turn ended
        self._last_item: str | None = None
        self._open: _Turn | None = None  # what is being said and not committed
        self._turns: deque[_Turn] = deque()  # committed or cleared, and their flushes not answered

    @classmethod
    def identify(cls, request: Request) -> Identity:
        """Take the key of a browser, which can set no header, from among its subprotocols."""
        offered = _subprotocols_of(request)
        keys = [name.removeprefix(_KEY_SUBPROTOCOL) for name in offered if name.startswith(_KEY_SUBPROTOCOL)]
        return Identity(keys[0] if keys else None, _SUBPROTOCOL if _SUBPROTOCOL in offered else None)

    @property
    def language(self) -> str | None:
        return self._options.language

    @property
    def type(self) -> str | None:
        """Give the model if it is the name of a type; models of others have no meaning here."""
        return self._options.model if self._options.model in ("fast", "quality") else super().type

    @property
    def audio(self) -> AudioFormat:
        return self._options.audio

    def begin(self) -> Sequence[Answer]:
        kind = "transcription_session.created" if self._beta else "session.created"
        return (Answer(self._event(kind, session=self._options.spell(self.session_id, flat=self._beta))),)

    # --- in ----------------------------------------------------------------------------------------------------------

    def hear(self, frame: str | bytes) -> Sequence[ev.Event | Encoded | Answer]:
        event = read_event(frame)
        match event:
            case Append():
                return self._append(event.audio)
            case Commit():
                return self._commit(event.event_id)
            case Clear():
                return self._clear(event.event_id)
            case ev.Misspoke():
                return (event,)
            case _:
                return self._update(event)

    def _append(self, audio: bytes) -> Sequence[ev.Event | Encoded]:
        self._buffered_bytes += len(audio)
        sample_bytes = SAMPLE_BYTES if self.audio.encoding == "linear16" else 1
        self._received_s += len(audio) / sample_bytes / self.audio.sample_rate_hz
        if self._begun:
            return (Encoded(audio),)
        self._held.append(audio)
        return self._begin() if self._updated or self._received_s >= _HELD_S else ()

    def _begin(self) -> Sequence[ev.Event | Encoded]:
        """Start the session with the audio that was held, once."""
        if self._begun:
            return ()
        self._begun = True
        held, self._held = self._held, []
        return ev.Started(ev.StartOptions(vocabulary=self._options.vocabulary, quiet=True)), *map(Encoded, held)

    def _commit(self, event_id: str | None) -> Sequence[ev.Event | Encoded | Answer]:
        if not self._buffered_bytes:
            complaint = Complaint("input_audio_buffer_commit_empty", event_id=event_id)
            return (ev.Misspoke("The input audio buffer is empty: there is nothing to commit.", complaint),)
        if len(self._turns) >= MAX_FLUSHES:
            return (_too_many(event_id),)
        turn = self._close_turn(samples_of_s(self._received_s))
        return *self._begin(), ev.FlushAsked(turn.id), *map(Answer, self._spell_committed(turn))

    def _clear(self, event_id: str | None) -> Sequence[ev.Event | Encoded | Answer]:
        """Forget what is not committed. It is decoded all the same: its finals are dropped when they come."""
        cleared = Answer(self._event("input_audio_buffer.cleared"))
        if not self._buffered_bytes:
            return (cleared,)
        if len(self._turns) >= MAX_FLUSHES:
            return (_too_many(event_id),)
        turn = self._close_turn(samples_of_s(self._received_s))
        turn.dropped = True
        return *self._begin(), ev.FlushAsked(turn.id), cleared

    def _update(self, event: Update | BetaUpdate) -> Sequence[ev.Event | Encoded | Answer]:
        self._updated = True
        self._options = self._options.update(event.session, begun=self._begun)
        flat = self._beta or isinstance(event, BetaUpdate)
        kind = "transcription_session.updated" if isinstance(event, BetaUpdate) else "session.updated"
        updated = Answer(self._event(kind, session=self._options.spell(self.session_id, flat=flat)))
        return updated, *(self._begin() if self._held else ())

    def _close_turn(self, end_sample: int) -> _Turn:
        """End the open turn, or one in which nothing was heard yet, at a flush to come."""
        turn = self._open or self._new_turn()
        turn.end_sample = end_sample
        self._committed_sample = end_sample
        self._open = None
        self._buffered_bytes = 0
        self._turns.append(turn)
        return turn

    def _new_turn(self) -> _Turn:
        # With turn detection the silence before it is no part of a turn.
        quiet_sample = self._settled_sample if self._options.detects_turns else 0
        return _Turn(f"item_{self.session_id}_{next(self._counter)}", max(self._committed_sample, quiet_sample))

    # --- out ---------------------------------------------------------------------------------------------------------

    def say(self, message: ev.Message) -> Sequence[str]:
        match message:
            case ev.Partial():
                return list(self._say_partial(message))
            case ev.Final():
                return list(self._say_final(message))
            case ev.Quiet():
                return list(self._say_quiet(message))
            case ev.Flushed():
                return list(self._complete(self._turns.popleft())) if self._turns else ()
            case ev.StoppedSaid():
                return list(self._say_rest(message))
            case ev.Failed():
                about = message.about if isinstance(message.about, Complaint) else None
                return (self._event("error", error=_spell_error(message.error, about)),)
        return ()

    def _say_partial(self, partial: ev.Partial) -> Iterator[str]:
        self._partial_sample = partial.sample
        turn = self._current_turn()
        if turn.dropped:
            return
        yield from self._spell_started(turn)
        words = partial.text.split(" ")
        yield from self._spell_delta(turn, turn.grow(words[: round(partial.stability * len(words))]))

    def _say_final(self, final: ev.Final) -> Iterator[str]:
        turn = self._current_turn()
        self._settled_sample = final.sample
        if turn.dropped:
            return
        yield from self._spell_started(turn)
        delta = turn.end_segment(final)
        if turn is self._open and self._options.detects_turns:
            yield from self._end_detected_turn(turn, final.sample, delta)
        else:
            yield from self._spell_delta(turn, delta)

    def _say_quiet(self, quiet: ev.Quiet) -> Iterator[str]:
        """End a turn whose segment came to no words: its start was told."""
        self._settled_sample = quiet.sample
        turn = self._open
        if turn is not None and turn.started and not turn.finals and quiet.sample >= self._partial_sample:
            yield from self._end_detected_turn(turn, quiet.sample, "")

    def _say_rest(self, stopped: ev.StoppedSaid) -> Iterator[str]:
        """Complete all that was heard: the service is stopping, or the client was idle for too long."""
        if self._open is not None:
            yield from self._spell_committed(self._close_turn(stopped.sample))
        while self._turns:
            yield from self._complete(self._turns.popleft())

    def _current_turn(self) -> _Turn:
        if self._turns:
            return self._turns[0]
        if self._open is None:
            self._open = self._new_turn()
        return self._open

    def _end_detected_turn(self, turn: _Turn, end_sample: int, delta: str) -> Iterator[str]:
        self._open = None
        turn.end_sample = self._committed_sample = end_sample
        yield self._event("input_audio_buffer.speech_stopped", audio_end_ms=ms_of_samples(end_sample), item_id=turn.id)
        yield from self._spell_committed(turn)
        yield from self._spell_delta(turn, delta)
        yield from self._complete(turn)

    def _complete(self, turn: _Turn) -> Iterator[str]:
        if not turn.dropped:
            seconds = round(s_of_samples(max(0, turn.end_sample - turn.start_sample)), 3)
            yield self._event(
                f"{_TRANSCRIPTION}.completed",
                item_id=turn.id,
                content_index=0,
                transcript=" ".join(turn.finals),
                usage={"type": "duration", "seconds": seconds},
            )

    def _spell_started(self, turn: _Turn) -> Iterator[str]:
        if turn is self._open and self._options.detects_turns and not turn.started:
            turn.started = True
            start_ms = ms_of_samples(turn.start_sample)
            yield self._event("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=turn.id)

    def _spell_delta(self, turn: _Turn, delta: str) -> Iterator[str]:
        if delta:
            yield self._event(f"{_TRANSCRIPTION}.delta", item_id=turn.id, content_index=0, delta=delta)

    def _spell_committed(self, turn: _Turn) -> Iterable[str]:
        before, self._last_item = self._last_item, turn.id
        item = {
            "id": turn.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        kinds = ("created",) if self._beta else ("added", "done")
        yield self._event("input_audio_buffer.committed", previous_item_id=before, item_id=turn.id)
        for kind in kinds:
            yield self._event(f"conversation.item.{kind}", previous_item_id=before, item=item)

    def _event(self, kind: str, **fields: object) -> str:
        event_id = f"event_{self.session_id}_{next(self._counter)}"
        return _encode({"type": kind, "event_id": event_id, **fields}).decode()

    def refuse(self, error: ScribewireError) -> bytes:
        return _encode({"error": _spell_error(error, None)})


def _subprotocols_of(request: Request) -> list[str]:
    return [name.strip() for name in request.headers.get("sec-websocket-protocol", "").split(",")]


def _too_many(event_id: str | None) -> ev.Misspoke:
    complaint = Complaint("input_audio_buffer_full", event_id=event_id)
    return ev.Misspoke("Too many commits are unanswered.", complaint)


def _spell_error(error: ScribewireError, complaint: Complaint | None) -> dict[str, object]:
    theirs = error.http_status >= 500 or error.retryable
    return {
        "type": "server_error" if theirs else "invalid_request_error",
        "code": complaint.code if complaint else error.code,
        "message": str(error),
        "param": complaint.param if complaint else None,
        "event_id": complaint.event_id if complaint else None,
    }
