"""A session that outlives its sockets, in virtual time: what each kind of loss does, and what it does not."""

from __future__ import annotations

import pytest

from scribewire.client.core import (
    CLOSE_WAIT_S,
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    MOST_FLUSHES,
    PREFACE_SAMPLES,
    WARM_UP_SAMPLES,
    Bounds,
    delay_s,
)
from scribewire.client.fake_speech import say, silence
from scribewire.client.wire import AudioLost, Final, Flushed, Partial, Reconnected, State
from scribewire.errors import (
    AtCapacity,
    Disconnected,
    NotAuthenticated,
    ScaledDown,
    ScribewireError,
    UnknownLanguage,
    Unreachable,
    UnsupportedAudio,
)
from tests.client.world import LISTENING, World
from tests.test_imports import IMPURE, SOURCE, imports_of

HELLO = say("hello world")
TWO = HELLO + say("how are you")
LONG = b"".join(say(f"this is sentence number n{i}") for i in range(8))


def undisturbed(pcm: bytes) -> list[object]:
    world = World().listen()
    world.course.hear(pcm)
    return [*world.run_out().lasting]


# --- one socket ------------------------------------------------------------------------------------------------------


def test_a_session_on_one_socket_is_what_the_service_says() -> None:
    world = World().listen()
    world.course.hear(TWO)
    world.run_out()
    assert world.all(State) == [State("listening", "s")]
    assert world.text == "hello world how are you"
    assert world.all(Partial)[0].text == "hello"
    assert world.course.error is None
    assert world.all(Reconnected) == []


def test_audio_given_before_listening_waits() -> None:
    world = World()
    world.course.hear(HELLO)
    world.connect().send()
    assert [frame for frame in world.service.heard if isinstance(frame, bytes)] == []
    assert world.deliver().run_out().text == "hello world"


def test_a_wav_stream_is_taken_and_another_format_refused() -> None:
    header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\xff\xff\xff\xff"
    world = World().listen()
    world.course.hear(header[:7])
    world.course.hear(header[7:] + HELLO)
    assert world.run_out().text == "hello world"
    with pytest.raises(UnsupportedAudio):
        World().course.hear(header.replace(b"\x80\x3e", b"\x40\x1f"))


@pytest.mark.parametrize("told", ["close", "silence"])
def test_a_service_that_stops_by_itself_is_left_for_another(told: str) -> None:
    world = World().listen()
    world.course.hear(HELLO)
    world.converse().tell('{"state":"stopped"}')
    world.course.hear(TWO[len(HELLO) :])
    if told == "close":
        world.close(1000)
    else:
        world.wait(CLOSE_WAIT_S)
    assert not world.course.is_over
    assert world.run_out().text == "hello world how are you"
    assert world.course.error is None


def test_a_stop_that_crosses_the_services_own_loses_nothing() -> None:
    world = World().listen()
    world.course.hear(HELLO)
    world.converse()
    world.course.hear(TWO[len(HELLO) :])
    world.course.stop()
    while world.course.next_frame(world.course.socket) is not None:
        pass  # all of it on its way to a service that hears no more
    world.tell('{"state":"stopped"}').close(1000)
    assert world.run_out().text == "hello world how are you"


def test_what_is_long_without_a_word_is_settled_and_not_called_lost() -> None:
    world = World(bounds=Bounds(kept_s=70)).listen()
    loud = bytes([0, 4]) * 16_000  # a second that is no silence, and no word either
    for _ in range(85):
        world.course.hear(loud)
        world.converse()
    world.close().connect().send().deliver()
    assert world.all(AudioLost) == []
    assert world.all(Flushed) == []
    assert len(world.course._kept._blocks) < 700


def test_a_flush_is_answered_with_the_callers_own_mark() -> None:
    world = World().listen()
    world.course.hear(say("hello")[:9600])
    world.course.flush("a")
    world.course.flush(None)
    world.converse()
    assert world.lasting[-2:] == [Flushed("a"), Flushed(None)]
    assert world.text == "hello"


def test_no_more_flushes_are_asked_for_than_the_service_takes() -> None:
    world = World().listen()
    for mark in range(MOST_FLUSHES + 5):
        world.course.hear(say("go"))
        world.course.flush(mark)
    world.send()
    assert sum("flush" in str(frame) for frame in world.service.heard) == MOST_FLUSHES
    world.converse().run_out()
    assert world.all(Flushed) == [Flushed(mark) for mark in range(MOST_FLUSHES + 5)]
    assert world.text == " ".join(["go"] * (MOST_FLUSHES + 5))


@pytest.mark.parametrize("name", ["core", "kept", "wire", "fake_speech"])
def test_the_core_is_pure(name: str) -> None:
    names = imports_of(SOURCE / "client" / f"{name}.py")
    assert {imported.split(".")[0] for imported in names} & (IMPURE | {"httpx", "websockets"}) == set()


# --- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013])
def test_whatever_breaks_in_mid_sentence_the_text_and_times_are_the_same(code: int) -> None:
    world = World().listen()
    world.course.hear(TWO[: len(HELLO) + 8000])
    world.converse().close(code).connect().converse()
    world.course.hear(TWO[len(HELLO) + 8000 :])
    assert world.run_out().lasting == undisturbed(TWO)


def test_the_caller_is_told_of_attempts_gap_and_what_is_sent_again() -> None:
    world = World().listen()
    world.course.hear(HELLO + silence(1000))
    world.converse().close().fail(Unreachable()).fail(Unreachable()).connect().wait(2.0).send().deliver(1)
    [told] = world.all(Reconnected)
    assert told.attempts == 3
    assert told.gap_s == pytest.approx(2.0 + sum(delay_s(n, 0.5) for n in range(3)), abs=0.001)
    assert told.replayed_s == pytest.approx(1.2)  # all since the final


def test_the_service_hears_the_first_words_and_what_stands_before_again_and_the_caller_does_not() -> None:
    world = World().listen()
    world.course.hear(LONG)
    world.converse().close().connect().send().deliver(1)
    world.send()
    sent = [len(frame) // 2 if isinstance(frame, bytes) else frame for frame in world.service.heard]
    flushes = [at for at, frame in enumerate(sent) if frame == '{"action":"flush","id":0}']
    assert len(flushes) == 2
    preface = sum(part for part in sent[1 : flushes[0]] if isinstance(part, int))
    assert 0 < preface <= PREFACE_SAMPLES + 160
    assert sum(part for part in sent[flushes[0] : flushes[1]] if isinstance(part, int)) == WARM_UP_SAMPLES
    assert world.run_out().lasting == undisturbed(LONG)


def test_partials_go_on_where_they_were() -> None:
    world = World().listen()
    world.course.hear(say("one two three four")[:32000])
    world.converse().close().connect().converse().converse()
    partials = [partial.text for partial in world.all(Partial)]
    assert partials == ["one", "one two", "one two three", "one two three"]


def test_an_old_socket_has_nothing_to_say() -> None:
    world = World().listen()
    world.course.hear(HELLO)
    world.converse()
    said = world.service.said
    world.close().listen()
    before = list(world.events)
    for text in said:
        world.tell(text, socket=1)
    world.close(socket=1)
    assert world.events == before
    assert not world.course.awaits_connection


def test_finals_said_twice_are_given_once() -> None:
    world = World().listen()
    world.course.hear(HELLO)
    world.converse()
    for text in world.service.said:
        world.tell(text)
    world.tell('{"text":"old","is_final":true,"offset_ms":10,"words":[]}')
    assert world.text == "hello world"


def test_a_stop_survives() -> None:
    world = World().listen()
    world.course.hear(HELLO[:6000])
    world.course.hear(HELLO[6000:])
    world.course.stop()
    world.send().close().connect()
    assert not world.course.is_over
    assert world.run_out().text == "hello world"


def test_a_flush_survives() -> None:
    world = World().listen()
    world.course.hear(HELLO[:20000])
    world.course.flush("m")
    world.send().close().connect().converse().converse()
    assert world.lasting[-1] == Flushed("m")
    assert world.text == "hello world"


def test_a_service_that_stops_in_the_middle_of_stopping_is_asked_again() -> None:
    world = World().listen()
    world.course.hear(HELLO)
    world.course.stop()
    world.tell('{"state":"stopped"}').send().close(1001)
    assert world.course.awaits_connection
    assert world.run_out().text == "hello world"


def test_a_service_that_ends_an_idle_session_is_gone_back_to() -> None:
    world = World().listen()
    world.tell('{"state":"stopped"}').close(1000)
    assert world.course.awaits_connection
    world.course.hear(HELLO)
    assert world.connect().run_out().text == "hello world"


def test_of_a_final_that_reaches_back_only_the_later_words_are_given() -> None:
    world = World().listen()
    world.course.hear(HELLO + silence(2000))
    world.converse().close().listen().send()
    words = '[["world",0,500,0.9],["again",900,1700,0.9],["dear",1700,1900,0.9]]'
    world.tell(f'{{"text":"world again dear","is_final":true,"offset_ms":2000,"words":{words}}}')
    final = world.all(Final)[-1]
    assert final.text == "again dear"
    assert [(word.start_ms, word.end_ms) for word in final.words] == [(900, 1700), (1700, 1900)]


def test_a_service_cannot_settle_what_was_not_sent() -> None:
    world = World().listen()
    world.course.hear(HELLO)
    world.send().tell('{"text":"liar","is_final":true,"offset_ms":99999,"words":[["liar",0,99999,0.9]]}')
    world.service.outbox.clear()
    world.course.hear(HELLO)
    assert world.run_out().text == "liar hello world"


def test_times_are_exact_after_a_flush_at_an_odd_place() -> None:
    def spoken(world: World) -> World:
        world.course.hear(LONG[: 2 * 70_001])
        world.course.flush("odd")
        return world.converse()

    cut = spoken(World().listen()).close().listen()
    whole = spoken(World().listen())
    for world in (cut, whole):
        world.course.hear(LONG[2 * 70_001 :])
        world.run_out()
    assert cut.lasting == whole.lasting


def test_stopped_without_a_close_is_the_end_soon() -> None:
    world = World().listen()
    world.course.stop()
    world.converse().wait(CLOSE_WAIT_S - 0.1)
    assert not world.course.is_over
    assert world.wait(0.2).course.is_over


# --- when to give up -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["not_authenticated", "not_permitted", "unknown_language", "unsupported_audio"])
def test_what_would_be_refused_again_is_raised(code: str) -> None:
    world = World().listen().close().connect().send().tell(f'{{"error":"No.","code":"{code}"}}')
    assert world.course.is_over
    assert world.course.error is not None
    assert world.course.error.code == code


@pytest.mark.parametrize("error", [NotAuthenticated(), UnknownLanguage(), Unreachable(), ScaledDown()])
def test_a_service_that_never_listened_is_not_tried_again(error: ScribewireError) -> None:
    assert World().fail(error).course.error is error


def test_a_busy_service_is_tried_again_when_it_says_so() -> None:
    world = World().fail(AtCapacity(retry_after_s=7))
    assert world.course.deadline == pytest.approx(7.5)
    world.course.hear(HELLO)
    assert world.listen().run_out().text == "hello world"
    assert world.all(Reconnected) == []


def test_the_delay_doubles_to_a_bound_and_chance_spreads_it() -> None:
    assert [delay_s(n, 0.0) for n in range(4)] == [FIRST_DELAY_S * 2**n for n in range(4)]
    assert delay_s(99, 0.0) == LONGEST_DELAY_S
    assert delay_s(3, 1.0) == delay_s(3, 0.0) / 2
    assert delay_s(0, 1.0, retry_after_s=3) == 4


def test_patience_ends() -> None:
    world = World(bounds=Bounds(patience_s=10)).listen().close()
    while not world.course.is_over:
        world.fail(Unreachable())
    assert isinstance(world.course.error, Unreachable)
    assert 5 < world.now <= 10


def test_patience_begins_again_after_a_good_while() -> None:
    world = World(bounds=Bounds(patience_s=10)).listen()
    for _ in range(3):
        world.close().listen().wait(60)
    assert not world.course.is_over
    assert [told.attempts for told in world.all(Reconnected)] == [1, 1, 1]


def test_a_service_that_listens_and_breaks_again_and_again_is_given_up() -> None:
    world = World(bounds=Bounds(patience_s=10)).listen()
    world.course.hear(HELLO)
    while not world.course.is_over:
        world.close()
        if not world.course.is_over:
            world.connect().send().deliver(1).send()
    assert isinstance(world.course.error, Disconnected)
    assert len(world.services) < 10


def test_a_service_that_does_not_listen_in_time_is_lost() -> None:
    world = World(bounds=Bounds(listen_wait_s=3)).connect().send().wait(3.1)
    assert isinstance(world.course.error, Unreachable)


@pytest.mark.parametrize("code", [1003, 1008, 1009])
def test_a_close_that_blames_what_was_sent_is_the_end(code: int) -> None:
    world = World().listen().close(code)
    assert str(code) in str(world.course.error)


# --- the bound -------------------------------------------------------------------------------------------------------


def test_silence_past_the_bound_is_told_and_the_words_are_whole() -> None:
    pcm = HELLO + silence(5000) + say("how are you")
    world = World(bounds=Bounds(kept_s=3)).listen()
    world.course.hear(pcm[: len(HELLO) + 160_000])
    world.converse().close()
    world.course.hear(pcm[len(HELLO) + 160_000 :])
    world.connect().run_out()
    assert world.lasting == undisturbed(pcm)
    lost = world.all(AudioLost)
    assert lost
    assert all(span.silent for span in lost)


def test_speech_past_the_bound_is_told_and_the_rest_keeps_its_times() -> None:
    pcm = say("one two three four five six seven eight nine ten")
    world = World(bounds=Bounds(kept_s=1)).listen().close()
    world.course.hear(pcm)
    world.connect().run_out()
    loud = [span for span in world.all(AudioLost) if not span.silent]
    assert loud
    whole = {word.text: word for final in undisturbed(pcm) if isinstance(final, Final) for word in final.words}
    heard = [word for final in world.all(Final) for word in final.words]
    assert heard
    assert all(whole[word.text] == word for word in heard)
    missing = [word for text, word in whole.items() if text not in {word.text for word in heard}]
    spans = world.all(AudioLost)
    assert all(any(s.start_ms < w.end_ms and w.start_ms < s.end_ms for s in spans) for w in missing)


def test_a_second_listening_changes_nothing() -> None:
    world = World().listen().tell(LISTENING)
    assert len(world.all(State)) == 2
    world.course.hear(HELLO)
    assert world.run_out().text == "hello world"
