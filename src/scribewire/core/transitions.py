"""The session's transitions: its states, its timers, and what each event does in each state."""

from __future__ import annotations

from enum import Enum
from typing import Final as Constant

from scribewire.core import events as ev


class State(Enum):
    """Where the conversation stands."""

    NEW = "new"
    OPENING = "opening"
    LISTENING = "listening"
    FINISHING = "finishing"
    CLOSED = "closed"


class StreamState(Enum):
    """Where the present stream stands."""

    NONE = "none"
    OPENING = "opening"
    OPEN = "open"
    FINISHING = "finishing"


class Timer(Enum):
    """What a session may be waiting for."""

    START = "start"  # the client's start
    OPEN = "open"  # a stream, the first or another
    IDLE = "idle"  # anything from the client
    STALL = "stall"  # progress of a stream that owes something
    PAUSE = "pause"  # the longest time that a client is held back
    HANDOVER = "handover"  # a final at which to leave a draining worker
    GRACE = "grace"  # the end, once the service stops
    LENGTH = "length"  # the end of what the credential allows
    PARTIAL = "partial"  # the time at which a held partial may go


def _row(new: str = "", opening: str = "", listening: str = "", finishing: str = "") -> dict[State, str]:
    cells = {State.NEW: new, State.OPENING: opening, State.LISTENING: listening, State.FINISHING: finishing}
    return {state: name for state, name in cells.items() if name}


# What an event does in NEW, OPENING, LISTENING and FINISHING: a method of Session. In CLOSED nothing does anything.
TABLE: Constant[dict[type[ev.Event], dict[State, str]]] = {
    ev.Started: _row("begin", "refuse_second_start", "refuse_second_start", "refuse_start_after_stop"),
    ev.AudioReceived: _row("discard_audio", "keep_audio", "keep_audio", "discard_audio"),
    ev.Stopped: _row("stop_at_once", "remember_stop", "finish", ""),
    ev.FlushAsked: _row("refuse_flush", "flush", "flush", "refuse_flush"),
    ev.Misspoke: _row("misspeak", "misspeak", "misspeak", "misspeak"),
    ev.ClientGone: _row("leave", "leave", "leave", "leave"),
    ev.ReaderStuck: _row("drop_reader", "drop_reader", "drop_reader", "drop_reader"),
    ev.Admitted: _row("", "open", "", ""),
    ev.Denied: _row("deny", "deny", "deny", "deny"),
    ev.StopAnnounced: _row("", "announce_stop", "announce_stop", ""),
    ev.ServiceStopped: _row("close_for_stop", "stop_for_service", "stop_for_service", "stop_for_service"),
    ev.Woken: _row("wake", "wake", "wake", "wake"),
    ev.StreamOpened: _row("", "use_stream", "use_stream", "use_stream"),
    ev.StreamRefused: _row("", "take_refusal", "take_refusal", "take_refusal"),
    ev.StreamLost: _row("", "replace_stream", "replace_stream", "replace_stream"),
    ev.StreamDraining: _row("", "", "prepare_handover", "prepare_handover"),
    ev.AudioConsumed: _row("", "", "advance", "advance"),
    ev.AudioSettled: _row("", "", "settle", "settle"),
    ev.PartialHeard: _row("", "", "give_partial", "give_partial"),
    ev.FinalHeard: _row("", "", "give_final", "give_final"),
    ev.FlushDone: _row("", "", "answer_flush", "answer_flush"),
    ev.StreamFinished: _row("", "", "end_stream", "end_stream"),
}

ON_TIMER: Constant = {
    Timer.START: "give_up_start",
    Timer.OPEN: "give_up_open",
    Timer.IDLE: "finish_idle",
    Timer.STALL: "give_up_stream",
    Timer.PAUSE: "read_on",
    Timer.HANDOVER: "hand_over",
    Timer.GRACE: "end_grace",
    Timer.LENGTH: "stop",
    Timer.PARTIAL: "release_partial",
}
