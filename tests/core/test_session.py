"""What a session does for its client, told as scenarios in virtual time."""

from __future__ import annotations

import struct

import pytest

from scribewire.core import events as ev
from scribewire.core.audio import samples_of_s
from scribewire.core.limits import MAX_BAD_MESSAGES, Limits
from scribewire.core.session import Session
from scribewire.core.transitions import State, StreamState
from scribewire.errors import AtCapacity, NotAuthenticated, ScaledDown
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


def test_a_complaint_brings_back_what_the_dialect_knows_of_the_message() -> None:
    [failed] = Session(Limits(), now=0.0).receive(ev.Misspoke("What?", about="e-1"), 0.0)
    assert isinstance(failed, ev.Failed)
    assert failed.about == "e-1"


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


def test_a_session_ends_when_its_credential_allows_no_more_of_it() -> None:
    admitted = ev.Admitted(ev.Grant("k1", "test", max_s=30))
    play = Playbook().send(ev.Started(), admitted, ev.StreamOpened(1)).speak(1).skip()
    play.send(ev.AudioConsumed(1, SECOND)).wait(20).speak(1).skip().send(ev.AudioConsumed(1, 2 * SECOND))
    play.wait(9.9).expect().wait(0.1).expect(ev.FinishStream(1))
    play.final("hi", at=SECOND).send(ev.StreamFinished(1)).expect(ev.Final, ev.StoppedSaid(), *closing(1000))


def test_a_credential_that_ends_during_a_cold_start_is_a_stop_that_is_remembered() -> None:
    play = Playbook().send(ev.Started(), ev.Admitted(ev.Grant("k1", "test", max_s=3))).speak(1).skip().wait(5).expect()
    play.send(ev.StreamOpened(1)).expect(ev.Listening(), ev.FeedStream, ev.FinishStream(1))


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


def test_whoever_asks_is_told_how_far_it_is_quiet() -> None:
    play = Playbook().send(ev.Started(ev.StartOptions(quiet=True)), ev.Admitted(GRANT), ev.StreamOpened(1)).skip()
    play.speak(1).send(ev.AudioSettled(1, 2000)).expect(ev.FeedStream, ev.Quiet(2000))


def test_stopped_says_how_much_audio_there_was() -> None:
    play = Playbook().listen().speak(1).send(ev.Stopped(), ev.StreamFinished(1))
    assert [said.sample for said in play.all(ev.StoppedSaid)] == [SECOND]


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
