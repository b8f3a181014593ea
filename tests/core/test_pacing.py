"""Pacing: a changed text at most every 100 ms, any text at least every 250 ms of audio, never back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.core.audio import samples_of_ms
from scribewire.core.events import Partial
from scribewire.core.pacing import MIN_GAP_S, PartialPacer


def at(ms: int, text: str) -> Partial:
    return Partial(text, samples_of_ms(ms), 0.5)


def test_the_first_goes_at_once() -> None:
    assert PartialPacer().offer(at(100, "a"), 0.0) == at(100, "a")


def test_a_changed_text_waits_its_time_and_the_latest_goes() -> None:
    pacer = PartialPacer()
    pacer.offer(at(100, "a"), 0.0)
    assert pacer.offer(at(140, "a b"), 0.04) is None
    assert pacer.due == MIN_GAP_S
    assert pacer.offer(at(180, "a b c"), 0.08) is None
    assert pacer.release(0.09) is None
    assert pacer.release(0.1) == at(180, "a b c")
    assert pacer.due is None


def test_an_unchanged_text_is_refreshed_by_the_audio() -> None:
    pacer = PartialPacer()
    pacer.offer(at(100, "a"), 0.0)
    sent = [ms for ms in range(200, 1200, 100) if pacer.offer(at(ms, "a"), ms / 1000)]
    assert sent == [300, 500, 700, 900, 1100]


def test_a_text_that_changes_back_is_unchanged() -> None:
    pacer = PartialPacer()
    pacer.offer(at(100, "a"), 0.0)
    pacer.offer(at(140, "b"), 0.04)
    assert pacer.offer(at(180, "a"), 0.08) is None
    assert pacer.release(1.0) is None


def test_a_text_without_words_is_never_sent() -> None:
    assert PartialPacer().offer(at(100, ""), 0.0) is None


def test_an_offset_never_goes_back() -> None:
    pacer = PartialPacer()
    pacer.offer(at(500, "a b"), 0.0)
    assert pacer.offer(at(400, "a"), 1.0) is None
    pacer.end_segment(samples_of_ms(800))
    assert pacer.offer(at(799, "c"), 2.0) is None
    assert pacer.offer(at(801, "c"), 3.0) == at(801, "c")


def test_a_segment_that_ended_is_forgotten() -> None:
    pacer = PartialPacer()
    pacer.offer(at(100, "a"), 0.0)
    pacer.offer(at(140, "a b"), 0.04)
    pacer.end_segment(samples_of_ms(200))
    assert pacer.release(1.0) is None
    assert pacer.offer(at(210, "a"), 2.0) == at(210, "a")


def test_silence_before_the_open_segment_forgets_nothing() -> None:
    pacer = PartialPacer()
    pacer.offer(at(100, "a"), 0.0)
    pacer.offer(at(140, "a b"), 0.04)
    pacer.pass_silence(samples_of_ms(139))
    assert pacer.release(1.0) == at(140, "a b")


def test_silence_past_the_open_segment_forgets_it() -> None:
    pacer = PartialPacer()
    pacer.offer(at(100, "a"), 0.0)
    pacer.offer(at(140, "a b"), 0.04)
    pacer.pass_silence(samples_of_ms(140))
    assert pacer.release(1.0) is None


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["", "a", "b"]), st.floats(0, 0.3)), max_size=40))
def test_whatever_is_offered_the_contract_holds(offers: list[tuple[int, str, float]]) -> None:
    pacer, now, ms = PartialPacer(), 0.0, 0
    sent: list[tuple[float, Partial]] = []
    for step, text, gap in offers:
        ms, now = ms + step - 100, now + gap
        given_now = pacer.release(now) if pacer.due is not None and now >= pacer.due else None
        for partial in (given_now, pacer.offer(at(max(ms, 0), text), now)):
            if partial is not None:
                sent.append((now, partial))
    for (before_s, before), (after_s, after) in pairwise(sent):
        assert after.sample >= before.sample
        assert after.text == before.text or after_s - before_s >= MIN_GAP_S - 1e-9
