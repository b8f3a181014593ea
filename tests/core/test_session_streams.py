"""What a session does with its streams: loses, replaces, leaves, feeds and flushes them, in virtual time."""

from __future__ import annotations

import pytest

from scribewire.core import events as ev
from scribewire.core.audio import WINDOW_SAMPLES, samples_of_s
from scribewire.core.limits import MAX_LOSSES, Limits
from scribewire.core.transitions import State
from scribewire.errors import EngineFailed
from tests.core.playbook import Fails, Playbook, closing, failing

SECOND = samples_of_s(1)


# --- losing the worker ------------------------------------------------------------------------------------------------


def test_a_worker_killed_in_mid_utterance_loses_and_doubles_nothing() -> None:
    play = Playbook().listen().speak(3)
    play.final("one", at=SECOND, resume=b"state").skip()
    play.send(ev.StreamLost(1)).expect(
        ev.AbortStream(1),
        ev.OpenStream(2, SECOND, partial=True, actual_numbers=False, resume=b"state", replacement=True),
    )
    play.speak(1).expect()
    play.final("late", at=2 * SECOND, stream=1).expect()
    play.send(ev.StreamOpened(2)).expect(ev.FeedStream(2, b"\x01\x00" * 3 * SECOND))
    play.final("two", at=2 * SECOND, stream=2).expect(ev.Final)
    assert [final.text for final in play.all(ev.Final)] == ["one", "two"]
    assert play.report_after_stop(2).streams_lost == 1


def test_a_final_that_was_given_is_not_given_again() -> None:
    play = Playbook().listen().speak(2).final("one", at=SECOND).send(ev.StreamLost(1), ev.StreamOpened(2)).skip()
    play.final("one", at=SECOND, stream=2).expect()
    play.final("two", at=SECOND + 9, stream=2).expect(ev.Final)
    assert play.report_after_stop(2).finals_dropped == 1


def test_a_worker_killed_while_finishing_is_asked_to_finish_elsewhere() -> None:
    play = Playbook().listen().speak(1).send(ev.Stopped(), ev.StreamLost(1)).skip()
    play.send(ev.StreamOpened(2)).expect(ev.FeedStream(2, b"\x01\x00" * SECOND), ev.FinishStream(2))


def test_listening_is_said_once() -> None:
    play = Playbook().listen().send(ev.StreamLost(1)).skip()
    play.send(ev.StreamOpened(2)).expect()


def test_partials_after_a_loss_begin_where_they_were_left() -> None:
    play = Playbook().listen().speak(2).send(ev.PartialHeard(1, "one two", SECOND, 0.5)).wait(1)
    play.send(ev.StreamLost(1), ev.StreamOpened(2)).skip()
    play.send(ev.PartialHeard(2, "one", SECOND // 2, 0.5)).wait(1).expect()
    play.send(ev.PartialHeard(2, "one two three", 2 * SECOND, 0.5)).expect(ev.Partial("one two three", 2 * SECOND, 0.5))


def test_losses_in_a_row_end_the_session() -> None:
    play = Playbook().listen().speak(1)
    for stream in range(1, MAX_LOSSES):
        play.send(ev.StreamLost(stream), ev.StreamOpened(stream + 1))
    play.skip()
    play.send(ev.StreamLost(MAX_LOSSES)).expect(*failing(1011, "engine_failed"))


def test_settling_anything_forgives_the_losses_before() -> None:
    play = Playbook().listen().speak(1)
    for stream in range(1, 4 * MAX_LOSSES):
        play.send(ev.AudioSettled(stream, stream), ev.StreamLost(stream), ev.StreamOpened(stream + 1))
    play.state_is(State.LISTENING)


def test_a_lost_stream_that_is_not_replaced_in_time_fails_the_engine() -> None:
    play = Playbook().listen().speak(1).send(ev.StreamLost(1)).skip()
    play.wait(34.9).expect().wait(0.1).expect(*failing(1011, "engine_failed"))


def test_a_refused_replacement_says_what_the_fleet_said() -> None:
    play = Playbook().listen().send(ev.StreamLost(1)).skip()
    play.send(ev.StreamRefused(2, EngineFailed())).expect(*failing(1011, "engine_failed"))


# --- an engine that does not move -------------------------------------------------------------------------------------


def test_a_stalled_stream_is_replaced() -> None:
    play = Playbook().listen().speak(1).skip()
    play.wait(14.9).expect().wait(0.2).expect(ev.AbortStream(1), ev.OpenStream)


def test_progress_puts_the_stall_off() -> None:
    play = Playbook().listen().speak(1).skip()
    for second in range(1, 10):
        play.wait(14).send(ev.AudioConsumed(1, second * 1000))
    play.expect()


def test_a_stream_that_owes_nothing_is_never_stalled() -> None:
    play = Playbook().listen().speak(1).send(ev.AudioConsumed(1, SECOND)).skip()
    play.wait(590).expect()


def test_what_is_short_of_a_window_is_not_owed() -> None:
    play = Playbook().listen().speak(0.5)
    play.send(ev.AudioConsumed(1, samples_of_s(0.5) // WINDOW_SAMPLES * WINDOW_SAMPLES)).skip()
    play.wait(590).expect()


def test_the_stall_counts_from_the_audio_that_is_owed_not_from_the_silence_before() -> None:
    play = Playbook().listen().speak(1).send(ev.AudioConsumed(1, SECOND)).wait(14.9).speak(1).skip()
    play.wait(14.9).expect().wait(0.2).expect(ev.AbortStream(1), ev.OpenStream)


def test_an_unanswered_flush_is_a_stall() -> None:
    play = Playbook().listen().send(ev.FlushAsked(1)).skip().wait(15).expect(ev.AbortStream(1), ev.OpenStream)
    play.send(ev.StreamOpened(2)).expect(ev.FlushStream(2, 1))


def test_a_finish_without_an_end_is_a_stall() -> None:
    Playbook().listen().send(ev.Stopped()).skip().wait(15).expect(ev.AbortStream(1), ev.OpenStream)


def test_a_stream_that_decodes_and_never_settles_is_replaced_in_the_end() -> None:
    play = Playbook(Limits(kept_samples=30 * SECOND)).listen()
    for second in range(1, 60):
        play.speak(1).send(ev.AudioConsumed(1, second * SECOND)).wait(1)
    assert play.session.kept.samples <= 60 * SECOND
    assert any(command == ev.AbortStream(1) for command in play.said)


# --- drain ------------------------------------------------------------------------------------------------------------


def test_a_draining_worker_is_left_at_the_next_final() -> None:
    play = Playbook().listen().speak(2).send(ev.StreamDraining(1)).skip()
    play.send(ev.AudioConsumed(1, SECOND)).expect()
    play.final("one", at=SECOND, resume=b"r").expect(
        ev.Final,
        ev.AbortStream(1),
        ev.OpenStream(2, SECOND, partial=True, actual_numbers=False, resume=b"r", replacement=True),
    )
    play.send(ev.StreamOpened(2)).expect(ev.FeedStream(2, b"\x01\x00" * SECOND))
    assert play.report_after_stop(2).streams_lost == 0


def test_a_draining_worker_is_left_when_silence_settles() -> None:
    play = Playbook().listen().speak(2).send(ev.StreamDraining(1)).skip()
    play.send(ev.AudioSettled(1, SECOND)).expect(ev.AbortStream(1), ev.OpenStream)


def test_a_draining_worker_is_left_at_the_deadline_without_a_final() -> None:
    play = Playbook().listen().speak(2).send(ev.AudioConsumed(1, 2 * SECOND), ev.StreamDraining(1)).skip()
    play.wait(9.9).send(ev.StreamDraining(1)).expect().wait(0.1).expect(ev.AbortStream(1), ev.OpenStream)


def test_a_draining_worker_that_is_finishing_may_finish() -> None:
    play = Playbook().listen().speak(1).send(ev.Stopped(), ev.StreamDraining(1)).skip()
    play.final("one", at=SECOND).send(ev.StreamFinished(1)).expect(ev.Final, ev.StoppedSaid(), *closing(1000))


def test_a_draining_worker_that_came_to_finish_meanwhile_may_finish() -> None:
    play = Playbook().listen().speak(1).send(ev.StreamDraining(1), ev.Stopped()).skip()
    play.final("one", at=SECOND).wait(10).send(ev.StreamFinished(1)).expect(ev.Final, ev.StoppedSaid(), *closing(1000))


# --- flush ------------------------------------------------------------------------------------------------------------


def test_a_flush_stands_at_its_place_in_the_audio() -> None:
    play = Playbook().listen().speak(3).send(ev.FlushAsked("a")).speak(3)
    play.expect(ev.FeedStream(1, b"\1\0" * 3 * SECOND), ev.FlushStream(1, 1), ev.FeedStream(1, b"\1\0" * SECOND))


def test_a_flush_past_the_window_waits_for_its_place() -> None:
    play = Playbook().listen().speak(5).send(ev.FlushAsked("a")).expect(ev.FeedStream(1, b"\1\0" * 4 * SECOND))
    play.send(ev.AudioConsumed(1, 2 * SECOND)).expect(ev.FeedStream(1, b"\1\0" * SECOND), ev.FlushStream(1, 1))


def test_flushes_are_answered_in_order_after_their_finals() -> None:
    play = Playbook().listen().speak(1).send(ev.FlushAsked("a")).speak(1).send(ev.FlushAsked(2)).skip()
    play.send(ev.FlushDone(1, 2)).expect()  # out of turn
    play.final("one", at=SECOND).send(ev.FlushDone(1, 1)).expect(ev.Final, ev.Flushed("a"))
    play.send(ev.FlushDone(1, 1)).expect()  # twice
    play.send(ev.FlushDone(1, 2)).expect(ev.Flushed(2))


def test_flushes_that_a_lost_stream_owed_are_asked_of_the_next() -> None:
    play = Playbook().listen().speak(1).send(ev.FlushAsked("a")).speak(1).send(ev.FlushAsked("b"))
    play.send(ev.AudioSettled(1, SECOND), ev.FlushDone(1, 1), ev.StreamLost(1)).skip()
    play.send(ev.StreamOpened(2)).expect(ev.FeedStream, ev.FlushStream(2, 2))
    play.send(ev.FlushDone(2, 2)).expect(ev.Flushed("b"))


def test_a_flush_of_settled_audio_is_asked_again_before_any_audio() -> None:
    play = Playbook().listen().speak(1).send(ev.FlushAsked("a")).speak(1)
    play.send(ev.AudioSettled(1, SECOND), ev.StreamLost(1)).skip()
    play.send(ev.StreamOpened(2)).expect(ev.FlushStream(2, 1), ev.FeedStream)


def test_a_flush_before_start_or_after_stop_is_refused() -> None:
    play = Playbook().send(ev.FlushAsked(1)).expect(Fails("bad_message"))
    play.start().send(ev.StreamOpened(1), ev.Stopped()).skip()
    play.send(ev.FlushAsked(1)).expect(Fails("bad_message"))


def test_a_flush_during_a_cold_start_is_answered_after_listening() -> None:
    play = Playbook().start().speak(1).send(ev.FlushAsked("a")).skip()
    play.send(ev.StreamOpened(1)).expect(ev.Listening(), ev.FeedStream, ev.FlushStream(1, 1))


def test_a_stop_finishes_only_after_the_flushes_before_it() -> None:
    play = Playbook().listen().speak(1).send(ev.FlushAsked("a"), ev.Stopped()).skip()
    play.send(ev.StreamFinished(1)).expect(ev.Flushed("a"), ev.StoppedSaid(), *closing(1000))


def test_too_many_unanswered_flushes_are_refused() -> None:
    play = Playbook().listen()
    for number in range(64):
        play.send(ev.FlushAsked(number))
    play.skip()
    play.send(ev.FlushAsked("one more")).expect(Fails("bad_message"))


# --- back-pressure ----------------------------------------------------------------------------------------------------


def test_a_faster_client_is_held_back_past_the_backlog_and_read_on_once_decoded() -> None:
    play = Playbook().listen().speak(9.9).skip()
    play.speak(0.1).expect(ev.PauseReading())
    play.send(ev.AudioConsumed(1, SECOND)).expect(ev.FeedStream)
    play.send(ev.AudioConsumed(1, 2 * SECOND)).expect(ev.FeedStream, ev.ResumeReading())


def test_no_more_than_the_window_is_fed_ahead_of_what_is_decoded() -> None:
    play = Playbook().listen().speak(9)
    assert play.fed_samples(1) == 4 * SECOND
    play.send(ev.AudioConsumed(1, SECOND))
    assert play.fed_samples(1) == 5 * SECOND


def test_what_a_stream_claims_beyond_its_audio_opens_no_window() -> None:
    play = Playbook().listen().speak(9).send(ev.AudioConsumed(1, 2**60))
    assert play.fed_samples(1) == 8 * SECOND


def test_with_a_stream_open_a_client_is_never_held_back_for_5_s() -> None:
    play = Playbook(Limits(stall_s=1000)).listen().speak(20).skip()
    for _ in range(5):
        play.wait(4.9).expect(ev.ResumeReading())
        play.speak(0.1).expect(ev.PauseReading())


def test_a_pause_that_began_without_a_stream_is_bounded_once_one_opens() -> None:
    play = Playbook().start().speak(121).wait(60)
    assert play.all(ev.ResumeReading) == []
    play.send(ev.StreamOpened(1)).skip().wait(4.9).expect(ev.ResumeReading())


@pytest.mark.parametrize("speed", [1.0, 1.2, 8.0])
def test_a_cold_start_never_holds_back_a_client_at_real_time_pace(speed: float) -> None:
    play = Playbook().start()
    for _ in range(60 * 10):
        play.speak(0.1).wait(0.1)
    play.send(ev.StreamOpened(1))
    decoded = 0.0
    for _ in range(60 * 10):
        play.speak(0.1).wait(0.1)
        decoded = min(decoded + 0.1 * speed, play.fed_samples(1) / SECOND)
        play.send(ev.AudioSettled(1, samples_of_s(decoded)))
    assert play.all(ev.PauseReading) == []


def test_after_a_cold_start_a_faster_client_is_held_back_all_the_same() -> None:
    play = Playbook().start().speak(60).send(ev.StreamOpened(1)).speak(9.9)
    assert play.all(ev.PauseReading) == []
    play.speak(0.1)
    assert len(play.all(ev.PauseReading)) == 1


def test_a_client_that_stops_is_read_on() -> None:
    play = Playbook().start().speak(121).skip()
    play.send(ev.ServiceStopped()).expect(ev.ResumeReading())
