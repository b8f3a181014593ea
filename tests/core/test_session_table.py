"""A scenario for every cell of the transition table: what is said, and where the conversation stands after it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from scribewire.core import events as ev
from scribewire.core.audio import samples_of_s
from scribewire.core.session import Session
from scribewire.core.transitions import ON_TIMER, TABLE, State, Timer
from scribewire.errors import AtCapacity, NotAuthenticated
from tests.core.playbook import GRANT, Expected, Fails, Files, Playbook, closing, failing

NEW, OPENING, LISTENING, FINISHING, CLOSED = State
SECOND = samples_of_s(1)
WORDS = (ev.Word("hi", 100, 200, 0.5),)


@dataclass(frozen=True)
class Scenario:
    """An event in a state: everything that follows from it at once."""

    event: ev.Event
    state: State
    says: tuple[Expected, ...]
    then: State


def _scenario(event: ev.Event, state: State, *says: Expected, then: State | None = None) -> Scenario:
    return Scenario(event, state, says, then or state)


# NEW: connected. OPENING: started and admitted, stream 1 asked for. LISTENING: stream 1 open and fed one second.
# FINISHING: the same, and stopped.
SCENARIOS = [
    _scenario(ev.Started(), NEW, ev.Admit(ev.StartOptions()), then=OPENING),
    _scenario(ev.Started(), OPENING),  # the complaint waits for `listening`
    _scenario(ev.Started(), LISTENING, Fails("bad_message")),
    _scenario(ev.Started(), FINISHING, Fails("bad_message")),
    _scenario(ev.AudioReceived(b"\1\0"), NEW),
    _scenario(ev.AudioReceived(b"\1\0"), OPENING),
    _scenario(ev.AudioReceived(b"\1\0"), LISTENING, ev.FeedStream(1, b"\1\0")),
    _scenario(ev.AudioReceived(b"\1\0"), FINISHING),
    _scenario(ev.Stopped(), NEW, ev.StoppedSaid(), *closing(1000), then=CLOSED),
    _scenario(ev.Stopped(), OPENING),
    _scenario(ev.Stopped(), LISTENING, ev.FinishStream(1), then=FINISHING),
    _scenario(ev.FlushAsked("a"), NEW, Fails("bad_message")),
    _scenario(ev.FlushAsked("a"), OPENING),
    _scenario(ev.FlushAsked("a"), LISTENING, ev.FlushStream(1, 1)),
    _scenario(ev.FlushAsked("a"), FINISHING, Fails("bad_message")),
    _scenario(ev.Misspoke("What?"), NEW, Fails("bad_message")),
    _scenario(ev.Misspoke("What?"), OPENING),
    _scenario(ev.Misspoke("What?"), LISTENING, Fails("bad_message")),
    _scenario(ev.Misspoke("What?"), FINISHING, Fails("bad_message")),
    _scenario(ev.ClientGone(), NEW, Files(1006), then=CLOSED),
    _scenario(ev.ClientGone(), OPENING, ev.AbortStream(1), Files(1006), then=CLOSED),
    _scenario(ev.ClientGone(), LISTENING, ev.AbortStream(1), Files(1006), then=CLOSED),
    _scenario(ev.ClientGone(), FINISHING, ev.AbortStream(1), Files(1006), then=CLOSED),
    _scenario(ev.ReaderStuck(), NEW, Fails("slow_reader"), *closing(1008, "slow_reader"), then=CLOSED),
    _scenario(ev.ReaderStuck(), OPENING, *failing(1008, "slow_reader"), then=CLOSED),
    _scenario(ev.ReaderStuck(), LISTENING, *failing(1008, "slow_reader"), then=CLOSED),
    _scenario(ev.ReaderStuck(), FINISHING, *failing(1008, "slow_reader"), then=CLOSED),
    _scenario(ev.Admitted(GRANT), OPENING),  # a second one; the first is what asked for stream 1
    _scenario(
        ev.Denied(NotAuthenticated()),
        NEW,
        Fails("not_authenticated"),
        *closing(1008, "not_authenticated"),
        then=CLOSED,
    ),
    _scenario(ev.Denied(NotAuthenticated()), OPENING, *failing(1008, "not_authenticated"), then=CLOSED),
    _scenario(ev.Denied(NotAuthenticated()), LISTENING, *failing(1008, "not_authenticated"), then=CLOSED),
    _scenario(ev.Denied(NotAuthenticated()), FINISHING, *failing(1008, "not_authenticated"), then=CLOSED),
    _scenario(ev.StopAnnounced(7), OPENING),
    _scenario(ev.StopAnnounced(7), LISTENING, ev.ShuttingDown(7)),
    _scenario(ev.ServiceStopped(), NEW, *closing(1001), then=CLOSED),
    _scenario(ev.ServiceStopped(), OPENING),
    _scenario(ev.ServiceStopped(), LISTENING, ev.FinishStream(1), then=FINISHING),
    _scenario(ev.ServiceStopped(), FINISHING),
    # Before the deadline nothing is due; what each timer does has tests of its own.
    _scenario(ev.Woken(), NEW),
    _scenario(ev.Woken(), OPENING),
    _scenario(ev.Woken(), LISTENING),
    _scenario(ev.Woken(), FINISHING),
    _scenario(ev.StreamOpened(1), OPENING, ev.Listening(), then=LISTENING),
    _scenario(ev.StreamOpened(1), LISTENING),  # it is open already
    _scenario(ev.StreamOpened(1), FINISHING),
    _scenario(ev.StreamRefused(1, AtCapacity()), OPENING, *failing(1013, "at_capacity"), then=CLOSED),
    _scenario(ev.StreamRefused(1, AtCapacity()), LISTENING),  # it was not refused
    _scenario(ev.StreamRefused(1, AtCapacity()), FINISHING),
    _scenario(
        ev.StreamLost(1),
        OPENING,
        ev.AbortStream(1),
        ev.OpenStream(2, 0, partial=True, actual_numbers=False, resume=b"", replacement=False),
    ),
    _scenario(
        ev.StreamLost(1),
        LISTENING,
        ev.AbortStream(1),
        ev.OpenStream(2, 0, partial=True, actual_numbers=False, resume=b"", replacement=True),
    ),
    _scenario(ev.StreamLost(1), FINISHING, ev.AbortStream(1), ev.OpenStream),
    _scenario(ev.StreamDraining(1), LISTENING),
    _scenario(ev.StreamDraining(1), FINISHING),
    _scenario(ev.AudioConsumed(1, SECOND), LISTENING),
    _scenario(ev.AudioConsumed(1, SECOND), FINISHING),
    _scenario(ev.AudioSettled(1, SECOND), LISTENING),
    _scenario(ev.AudioSettled(1, SECOND), FINISHING),
    _scenario(ev.PartialHeard(1, "hi", 300, 0.5), LISTENING, ev.Partial("hi", 300, 0.5)),
    _scenario(ev.PartialHeard(1, "hi", 300, 0.5), FINISHING, ev.Partial("hi", 300, 0.5)),
    _scenario(ev.FinalHeard(1, WORDS, 300), LISTENING, ev.Final(WORDS, 300)),
    _scenario(ev.FinalHeard(1, WORDS, 300), FINISHING, ev.Final(WORDS, 300)),
    _scenario(ev.FlushDone(1, 1), LISTENING),  # none is owed
    _scenario(ev.FlushDone(1, 1), FINISHING),
    _scenario(ev.StreamFinished(1), LISTENING, ev.AbortStream(1), ev.OpenStream),  # unasked: it is lost
    _scenario(ev.StreamFinished(1), FINISHING, ev.StoppedSaid(), *closing(1000), then=CLOSED),
]
EVENTS = {type(scenario.event): scenario.event for scenario in SCENARIOS}


def _play(state: State) -> Playbook:
    play = Playbook()
    if state is NEW:
        return play
    play.start()
    if state is not OPENING:
        play.send(ev.StreamOpened(1)).speak(1)
    if state in (FINISHING, CLOSED):
        play.send(ev.Stopped())
    if state is CLOSED:
        play.send(ev.StreamFinished(1))
    play.state_is(state).skip()
    return play


def _name(scenario: Scenario) -> str:
    return f"{type(scenario.event).__name__}-{scenario.state.value}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=_name)
def test_an_event_in_a_state_has_these_consequences(scenario: Scenario) -> None:
    play = _play(scenario.state)
    play.send(scenario.event).expect(*scenario.says).state_is(scenario.then)
    assert (play.session.deadline is None) == (scenario.then is CLOSED)


def test_every_cell_of_the_table_has_a_scenario_and_every_scenario_a_cell() -> None:
    cells = [(event, state) for event, row in TABLE.items() for state in row]
    played = [(type(scenario.event), scenario.state) for scenario in SCENARIOS]
    assert sorted(map(str, played)) == sorted(map(str, cells))


@pytest.mark.parametrize(
    ("event", "state"),
    [(event, state) for event, row in TABLE.items() for state in State if state not in row],
    ids=lambda value: value.value if isinstance(value, State) else value.__name__,
)
def test_an_empty_cell_is_of_no_consequence(event: type[ev.Event], state: State) -> None:
    play = _play(state)
    before = play.session.deadline
    play.send(EVENTS[event]).expect().state_is(state)
    assert play.session.deadline == before


def test_every_event_has_a_row() -> None:
    assert set(TABLE) == set(ev.Event.__args__)


def test_every_cell_and_every_timer_names_a_method_of_the_session() -> None:
    names = {name for row in TABLE.values() for name in row.values()} | set(ON_TIMER.values())
    assert [name for name in sorted(names) if not callable(getattr(Session, "_" + name, None))] == []


def test_every_timer_has_a_consequence() -> None:
    assert set(ON_TIMER) == set(Timer)


def test_nothing_that_an_old_stream_says_is_of_consequence() -> None:
    play = _play(LISTENING)
    play.send(ev.StreamLost(1), ev.StreamOpened(2)).skip()
    late = [event for kind, event in EVENTS.items() if "stream" in getattr(kind, "__annotations__", {})]
    assert late
    play.send(*late).expect().state_is(LISTENING)
