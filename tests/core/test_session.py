"""What a session does, told as scenarios in virtual time."""

from __future__ import annotations

import struct

import pytest

from scribewire.core import events as ev
from scribewire.core.audio import WINDOW_SAMPLES, samples_of_s
from scribewire.core.limits import MAX_BAD_MESSAGES, MAX_LOSSES, Limits
from scribewire.core.transitions import State, StreamState
from scribewire.errors import AtCapacity, EngineFailed, NotAuthenticated, ScaledDown
from tests.core.playbook import GRANT, Fails, Files, Playbook, closing, failing

SECOND = samples_of_s(1)


# --- starting ---------------------------------------------------------------------------------------------------------


def test_a_session_starts_streams_and_stops() -> None:
    play = Playbook().send(ev.Started()).expect(ev.Admit(ev.StartOptions()))
    play.send(ev.Admitted(GRANT)).expect(
        ev.OpenStream(1, 0, partial=True, actual_numbers=False, resume=b"", replacement=False)
    )
    play.send(ev.StreamOpened(1)).expect(ev.Listening())
    play.speak(1).expect(ev.FeedStream)
    play.final("hi", at=SECOND).expect(ev.Final((ev.Word("hi", SECOND - 1, SECOND, 0.9),), SECOND))
    play.send(ev.Stopped()).expect(ev.FinishStream(1))
    play.send(ev.StreamFinished(1)).expect(ev.StoppedSaid(), *closing(1000))
    assert play.report == ev.Report(
        received_samples=SECOND,
        settled_samples=SECOND,
        finals=1,
        words=1,
        streams=1,
        listening_after_s=0.0,
        close_code=1000,
    )


def test_options_reach_the_stream() -> None:
    options = ev.StartOptions(key="k", partial=False, actual_numbers=True)
    play = Playbook().send(ev.Started(options)).expect(ev.Admit(options))
    play.send(ev.Admitted(GRANT)).expect(
        ev.OpenStream(1, 0, partial=False, actual_numbers=True, resume=b"", replacement=False)
    )


def test_without_a_start_the_session_ends_in_time() -> None:
    play = Playbook().wait(14.9).expect().wait(0.2)
    play.expect(Fails("start_timeout"), *closing(1008, "start_timeout"))


def test_audio_during_a_cold_start_is_kept_and_then_fed() -> None:
    play = Playbook().start().skip()
    for _ in range(30):
        play.speak(0.1).wait(0.1)
    play.expect()
    play.send(ev.StreamOpened(1)).expect(ev.Listening(), ev.FeedStream(1, b"\x01\x00" * 3 * SECOND))
    assert play.session.kept.samples == 3 * SECOND


def test_audio_before_start_is_discarded_and_counted() -> None:
    play = Playbook().speak(1).start().send(ev.StreamOpened(1), ev.ClientGone())
    assert play.all(ev.FeedStream) == []
    assert (play.report.discarded_bytes, play.report.received_samples) == (2 * SECOND, 0)


def test_audio_between_start_and_admission_is_kept() -> None:
    play = Playbook().send(ev.Started()).speak(1).send(ev.Admitted(GRANT), ev.StreamOpened(1))
    assert play.fed_samples(1) == SECOND


def test_a_stop_during_a_cold_start_is_remembered() -> None:
    play = Playbook().start().speak(1).send(ev.Stopped()).speak(1).skip()
    play.send(ev.StreamOpened(1)).expect(ev.Listening(), ev.FeedStream, ev.FinishStream(1))
    play.state_is(State.FINISHING)
    assert play.fed_samples(1) == SECOND, "audio after stop is ignored"
    play.final("hi", at=SECOND).send(ev.StreamFinished(1)).expect(ev.Final, ev.StoppedSaid(), *closing(1000))


def test_a_stop_before_admission_is_remembered() -> None:
    play = Playbook().send(ev.Started(), ev.Stopped()).skip()
    play.send(ev.Admitted(GRANT)).expect(ev.OpenStream)
    play.send(ev.StreamOpened(1)).expect(ev.Listening(), ev.FinishStream(1))


def test_a_worker_that_dies_while_opening_is_replaced_within_the_same_bound() -> None:
    play = Playbook(Limits(open_wait_s=20)).start().wait(15)
    play.send(ev.StreamLost(1)).skip().wait(4.9).expect()
    play.wait(0.1).expect(*failing(1013, "at_capacity"))


def test_a_refusal_is_passed_on() -> None:
    play = Playbook().start().skip()
    play.send(ev.StreamRefused(1, ScaledDown())).expect(*failing(1013, "scaled_down"))


def test_a_cold_start_that_takes_too_long_says_when_to_come_back() -> None:
    play = Playbook().start().wait(135)
    (failed,) = play.all(ev.Failed)
    assert isinstance(failed.error, AtCapacity)
    assert failed.error.retry_after_s


# --- nothing but a terminal error precedes `listening` ----------------------------------------------------------------


def test_complaints_and_warnings_wait_for_listening() -> None:
    play = Playbook().start().skip()
    play.send(ev.Misspoke("What?"), ev.Started(), ev.StopAnnounced(7), ev.Stopped(), ev.FlushAsked(1)).expect()
    play.send(ev.StreamOpened(1)).expect(
        ev.Listening(),
        Fails("bad_message"),
        Fails("bad_message"),
        ev.ShuttingDown(7),
        Fails("bad_message"),
        ev.FinishStream(1),
    )


def test_a_terminal_error_is_all_that_a_failed_start_says() -> None:
    play = Playbook().start().send(ev.Misspoke("What?")).skip()
    play.send(ev.StreamRefused(1, AtCapacity())).expect(*failing(1013, "at_capacity"))


# --- bad messages -----------------------------------------------------------------------------------------------------


def test_the_last_straw_of_bad_messages_closes() -> None:
    play = Playbook().listen()
    for _ in range(MAX_BAD_MESSAGES - 1):
        play.send(ev.Misspoke("What?")).expect(Fails("bad_message"))
    play.send(ev.Misspoke("What?")).expect(*failing(1008, "bad_message"))
    assert play.report.bad_messages == MAX_BAD_MESSAGES


def test_the_last_straw_comes_also_before_start_and_during_a_cold_start() -> None:
    play = Playbook()
    for _ in range(MAX_BAD_MESSAGES - 1):
        play.send(ev.Misspoke("What?"))
    play.start().skip()
    play.send(ev.Misspoke("What?")).expect(*failing(1008, "bad_message"))


def test_a_second_start_is_refused_and_the_session_goes_on() -> None:
    play = Playbook().listen().send(ev.Started()).expect(Fails("bad_message"))
    play.speak(1).expect(ev.FeedStream)
    play.send(ev.Stopped(), ev.StreamFinished(1)).expect(ev.FinishStream(1), ev.StoppedSaid(), *closing(1000))


def test_a_stop_finishes_only_after_the_last_sample() -> None:
    play = Playbook().listen().speak(5).send(ev.Stopped()).expect(ev.FeedStream)
    play.send(ev.AudioConsumed(1, SECOND)).expect(ev.FeedStream, ev.FinishStream(1))


def test_a_start_after_stop_still_gets_the_finals_and_stopped_and_then_1008() -> None:
    play = Playbook().listen().speak(1).send(ev.Stopped()).skip()
    play.send(ev.Started()).expect(Fails("bad_message"))
    play.final("hi", at=SECOND).send(ev.StreamFinished(1)).expect(ev.Final, ev.StoppedSaid(), *closing(1008))


def test_a_start_after_a_stop_during_a_cold_start_ends_the_same() -> None:
    play = Playbook().start().speak(1).send(ev.Stopped(), ev.Started(), ev.StreamOpened(1)).skip()
    play.final("hi", at=SECOND).send(ev.StreamFinished(1)).expect(ev.Final, ev.StoppedSaid(), *closing(1008))


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


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["starting", "listening", "finishing"])
def test_a_service_that_stops_gives_the_finals_and_stopped_and_1001(at: str) -> None:
    play = Playbook().start().speak(1)
    if at == "starting":
        play.send(ev.ServiceStopped(), ev.StreamOpened(1))
    elif at == "listening":
        play.send(ev.StreamOpened(1), ev.ServiceStopped())
    else:
        play.send(ev.StreamOpened(1), ev.Stopped(), ev.ServiceStopped())
    play.skip()
    play.final("hi", at=SECOND).send(ev.StreamFinished(1)).expect(ev.Final, ev.StoppedSaid(), *closing(1001))


def test_a_service_that_stops_says_1001_also_to_who_starts_again_meanwhile() -> None:
    play = Playbook().listen().send(ev.ServiceStopped(), ev.Started()).skip()
    play.send(ev.StreamFinished(1)).expect(ev.StoppedSaid(), *closing(1001))


def test_grace_ends() -> None:
    play = Playbook().listen().speak(1).send(ev.ServiceStopped()).skip()
    play.send(ev.AudioConsumed(1, SECOND)).wait(14).send(ev.ServiceStopped())  # a second one gives no more time
    play.send(ev.AudioSettled(1, SECOND)).wait(5.9).expect().wait(0.1).expect(*failing(1001, "service_stopping"))


def test_idle_finishes_rather_than_cuts() -> None:
    play = Playbook().listen().speak(1).send(ev.AudioConsumed(1, SECOND)).skip()
    play.wait(599.9).expect().wait(0.1).expect(ev.FinishStream(1))
    play.final("hi", at=SECOND).send(ev.StreamFinished(1)).expect(ev.Final, ev.StoppedSaid(), *closing(1000))


@pytest.mark.parametrize("event", [ev.AudioReceived(b"\1\0"), ev.FlushAsked(1), ev.Misspoke("What?")])
def test_anything_from_the_client_puts_idle_off(event: ev.Event) -> None:
    play = Playbook(Limits(idle_s=10)).listen().wait(9).send(event).wait(9).state_is(State.LISTENING)
    play.wait(1).state_is(State.FINISHING)


def test_a_client_that_is_not_read_is_not_idle() -> None:
    play = Playbook(Limits(idle_s=5, kept_samples=30 * SECOND, stall_s=100)).listen().send(ev.StreamLost(1))
    play.speak(30).wait(20).state_is(State.LISTENING)


def test_fifteen_seconds_of_nothing_and_then_speech_works_as_usual() -> None:
    play = Playbook().listen().wait(15).speak(1).skip()
    play.wait(1).send(ev.AudioConsumed(1, SECOND)).wait(14.5).expect()


def test_a_client_that_leaves_releases_the_stream_at_once() -> None:
    play = Playbook().listen().speak(1).skip()
    play.send(ev.ClientGone()).expect(ev.AbortStream(1), Files(1006))


def test_a_reader_that_does_not_read_is_dropped() -> None:
    Playbook().listen().send(ev.ReaderStuck()).expect(*failing(1008, "slow_reader"))


def test_a_key_revoked_during_the_session_ends_it() -> None:
    play = Playbook().listen().speak(1).skip()
    play.send(ev.Denied(NotAuthenticated())).expect(*failing(1008, "not_authenticated"))


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


# --- results ----------------------------------------------------------------------------------------------------------


def test_changed_partials_come_at_most_every_100_ms_and_the_last_one_wins() -> None:
    play = Playbook().listen().speak(1).skip()
    play.send(ev.PartialHeard(1, "a", 1600, 0.5)).expect(ev.Partial("a", 1600, 0.5))
    play.send(ev.PartialHeard(1, "a b", 1700, 0.5), ev.PartialHeard(1, "a b c", 1800, 0.5)).expect()
    play.wait(0.1).expect(ev.Partial("a b c", 1800, 0.5))


def test_a_held_partial_is_forgotten_with_its_segment() -> None:
    play = Playbook().listen().speak(1).send(ev.PartialHeard(1, "a", 1600, 0.5)).skip()
    play.send(ev.PartialHeard(1, "a b", 1700, 0.5)).final("a", at=2000).expect(ev.Final)
    play.wait(1).expect()


def test_a_segment_may_begin_like_the_one_before() -> None:
    play = Playbook().listen().speak(1).send(ev.PartialHeard(1, "a", 1600, 0.5)).final("a", at=2000).wait(1).skip()
    play.send(ev.PartialHeard(1, "a", 2001, 0.5)).expect(ev.Partial("a", 2001, 0.5))


def test_a_final_that_ends_before_the_last_partial_does_not_take_the_offset_back() -> None:
    play = Playbook().listen().speak(1).send(ev.PartialHeard(1, "a b", 3000, 0.5)).final("a", at=2000)
    assert [final.sample for final in play.all(ev.Final)] == [3000]


def test_a_held_partial_of_a_segment_that_held_no_word_is_forgotten() -> None:
    play = Playbook().listen().speak(1).send(ev.PartialHeard(1, "a", 1600, 0.5)).skip()
    play.send(ev.PartialHeard(1, "a b", 1700, 0.5), ev.AudioSettled(1, 2000)).wait(1).expect()


def test_without_partials_there_are_none() -> None:
    play = Playbook().listen(partial=False).speak(1).skip()
    play.send(ev.PartialHeard(1, "a", 1600, 0.5)).wait(1).expect()
    play.final("a", at=2000).expect(ev.Final)


def test_a_final_without_words_settles_and_says_nothing() -> None:
    play = Playbook().listen().speak(1).skip()
    play.final(at=2000).expect()
    play.send(ev.FinalHeard(1, (ev.Word("", 2000, 2100, 0.5),), 3000)).expect()
    assert play.session.kept.first_sample == 3000


def test_word_times_are_brought_within_their_segment_and_in_order() -> None:
    words = (
        ev.Word("a", -5, 400, 0.5),
        ev.Word("b", 300, 200, float("nan")),
        ev.Word("c", 10**9, 10**9, 7.0),
        ev.Word("d", 10**9, 10**9, -1.0),
    )
    play = Playbook().listen().speak(1).final("x", at=100).send(ev.FinalHeard(1, words, 10**9))
    told = (
        ev.Word("a", 100, 400, 0.5),
        ev.Word("b", 400, 400, 0.0),
        ev.Word("c", SECOND, SECOND, 0.0),
        ev.Word("d", SECOND, SECOND, 0.0),
    )
    assert play.all(ev.Final)[-1] == ev.Final(told, SECOND)


def test_a_partial_beyond_the_audio_or_before_what_is_settled_is_not_believed() -> None:
    play = Playbook().listen().speak(1).final("a", at=1000).wait(1).skip()
    late = [ev.PartialHeard(1, "b", sample, 0.5) for sample in (-1, 1000, SECOND + 1, 2**60)]
    play.send(*late).wait(1).expect()


def test_a_settled_position_beyond_the_audio_does_not_silence_the_partials() -> None:
    play = Playbook().listen().speak(1).send(ev.AudioSettled(1, 2**60)).speak(1).skip()
    play.send(ev.PartialHeard(1, "b", SECOND + 1, 0.5)).expect(ev.Partial("b", SECOND + 1, 0.5))


# --- the audio's form -------------------------------------------------------------------------------------------------


def _wav(rate_hz: int) -> bytes:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVE" + fmt + b"data\xff\xff\xff\xff"


def test_a_wav_header_is_not_audio_however_it_is_split() -> None:
    play = Playbook().listen()
    for byte in _wav(16_000) + b"\x01\x00\x02\x00":
        play.send(ev.AudioReceived(bytes([byte])))
    assert play.fed(1) == b"\x01\x00\x02\x00"


@pytest.mark.parametrize("stream", [StreamState.OPENING, StreamState.OPEN])
def test_a_wav_of_another_rate_is_refused(stream: StreamState) -> None:
    play = Playbook().start()
    if stream is StreamState.OPEN:
        play.send(ev.StreamOpened(1))
    play.skip()
    play.send(ev.AudioReceived(_wav(8_000))).expect(*failing(1003, "unsupported_audio"))


def test_a_short_session_that_could_have_begun_a_header_is_audio_after_all() -> None:
    play = Playbook().listen().send(ev.AudioReceived(b"RIFF")).skip()
    play.send(ev.Stopped()).expect(ev.FeedStream(1, b"RIFF"), ev.FinishStream(1))


def test_an_odd_byte_at_the_end_is_no_sample() -> None:
    play = Playbook().listen().send(ev.AudioReceived(b"\1\0\1"), ev.Stopped())
    assert play.fed(1) == b"\1\0"
