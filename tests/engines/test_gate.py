"""The gate cuts alike however audio is framed, and goes on alike from every state that it gave out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from zlib import crc32

from hypothesis import example, given
from hypothesis import strategies as st

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES, WINDOW_SAMPLES
from scribewire.engines.detectors import Detector, EnergyDetector, Judgement, NoneDetector
from scribewire.engines.gate import (
    Gate,
    GateEvent,
    GateStream,
    SegmentClosed,
    SegmentOpened,
    Silent,
    Speech,
    create_gate,
)
from scribewire.settings import GateSettings

# 8 windows of pre-roll, 16 of hang-over, 62 at most, of which a breath suffices after 46.
SETTINGS = GateSettings(max_segment_s=2, detector="energy")
LOUD, MIDDLE, QUIET = 1.0, 0.6, 0.0


class RememberingDetector(Detector):
    """Reads the probability from a window's first sample, and from a memory that only an exact restart keeps alike."""

    memory_bytes = 4

    def judge(self, runs: Sequence[Sequence[bytes]], memories: Sequence[bytes]) -> list[list[Judgement]]:
        return [list(self._judge(run, memory)) for run, memory in zip(runs, memories, strict=True)]

    def _judge(self, run: Sequence[bytes], memory: bytes) -> Iterator[Judgement]:
        for window in run:
            sum_of_past = crc32(window, crc32(memory))
            # One window in eight is heard otherwise than it sounds, as the past would have it.
            heard = int.from_bytes(window[:2], "little") if sum_of_past % 8 else sum_of_past % 1000
            memory = sum_of_past.to_bytes(4, "little")
            yield Judgement(heard / 1000, memory)


class PlainDetector(Detector):
    """Reads the probability from a window's first sample."""

    def judge(self, runs: Sequence[Sequence[bytes]], memories: Sequence[bytes]) -> list[list[Judgement]]:
        return [[Judgement(int.from_bytes(window[:2], "little") / 1000, b"") for window in run] for run in runs]


def windows_of(*runs: tuple[float, int]) -> bytes:
    """Give audio that sounds as likely speech as each run says, for its number of windows."""
    return b"".join(round(p * 1000).to_bytes(2, "little") * WINDOW_SAMPLES * count for p, count in runs)


def run(stream: GateStream, gate: Gate, pcm: bytes) -> list[GateEvent]:
    stream.accept(pcm)
    while stream.pending:
        gate.step([stream])
    return stream.take()


def cut(*runs: tuple[float, int], gate_settings: GateSettings = SETTINGS) -> list[GateEvent]:
    gate = Gate(PlainDetector(), gate_settings)
    return run(gate.open(0), gate, windows_of(*runs))


def spans(events: list[GateEvent]) -> list[tuple[int, int]]:
    """Give first and end of the closed segments, in windows."""
    opened = [event.first_sample // WINDOW_SAMPLES for event in events if isinstance(event, SegmentOpened)]
    closed = [event.end_sample // WINDOW_SAMPLES for event in events if isinstance(event, SegmentClosed)]
    return list(zip(opened, closed, strict=False))


def test_a_segment_begins_a_preroll_before_its_onset_and_ends_after_its_hangover() -> None:
    assert spans(cut((QUIET, 20), (LOUD, 10), (QUIET, 30))) == [(12, 46)]


def heard(events: list[GateEvent]) -> bytes:
    return b"".join(event.pcm for event in events if isinstance(event, Speech))


def test_a_pause_reaches_the_decoder_whole_and_the_silence_that_ends_a_segment_in_part() -> None:
    pause, end = ((LOUD, 5), (QUIET, 15), (LOUD, 5)), ((QUIET, 16),)

    assert heard(cut(*pause)) == windows_of(*pause)
    assert heard(cut(*pause, *end)) == windows_of(*pause, (QUIET, 8))


def test_a_pause_is_kept_back_until_speech_resumes() -> None:
    gate = Gate(PlainDetector(), SETTINGS)
    stream = gate.open(0)

    assert heard(run(stream, gate, windows_of((LOUD, 5), (QUIET, 12)))) == windows_of((LOUD, 5), (QUIET, 8))
    assert heard(run(stream, gate, windows_of((MIDDLE, 1)))) == windows_of((QUIET, 4), (MIDDLE, 1))


def test_one_loud_window_opens_nothing() -> None:
    assert cut((QUIET, 10), (LOUD, 1), (QUIET, 3), (LOUD, 1), (QUIET, 3)) == []


def test_windows_between_the_thresholds_open_nothing_and_end_nothing() -> None:
    assert cut((MIDDLE, 30)) == []
    assert spans(cut((LOUD, 2), (QUIET, 15), (MIDDLE, 1), (QUIET, 15))) == []
    assert spans(cut((LOUD, 2), (QUIET, 15), (MIDDLE, 1), (QUIET, 16))) == [(0, 34)]


def test_the_preroll_reaches_neither_before_the_stream_nor_into_the_segment_before() -> None:
    assert spans(cut((QUIET, 3), (LOUD, 4), (QUIET, 18), (LOUD, 4), (QUIET, 16))) == [(0, 23), (23, 45)]


def test_late_in_a_long_segment_a_breath_ends_it() -> None:
    assert spans(cut((LOUD, 40), (QUIET, 3), (LOUD, 4), (QUIET, 3), (LOUD, 20), (QUIET, 16))) == [(0, 50), (50, 86)]


def test_an_endless_segment_is_cut_and_the_next_begins_there_at_once() -> None:
    events = cut((LOUD, 62), (MIDDLE, 1), (QUIET, 16))

    assert spans(events) == [(0, 62), (62, 79)]


def test_after_the_cut_silence_opens_nothing() -> None:
    assert spans(cut((LOUD, 62), (QUIET, 5), (MIDDLE, 20))) == [(0, 62)]


def test_the_longest_preroll_leaves_room_for_speech() -> None:
    generous = GateSettings(max_segment_s=2, preroll_ms=2000)

    assert spans(cut((QUIET, 100), (LOUD, 40), gate_settings=generous)) == [(69, 131)]


def test_silence_settles_once_no_onset_can_reach_back_to_it() -> None:
    quiet = cut((QUIET, 31 + 9))
    reached = cut((QUIET, 31 + 7), (LOUD, 2))

    assert [event.sample for event in quiet if isinstance(event, Silent)] == [31 * WINDOW_SAMPLES]
    assert reached[0] == SegmentOpened(30 * WINDOW_SAMPLES)


def test_nothing_passes_without_sound_and_everything_without_a_detector() -> None:
    silence = bytes(100 * WINDOW_BYTES)
    energy, none = Gate(EnergyDetector(), SETTINGS), Gate(NoneDetector(), SETTINGS)

    assert {type(event) for event in run(energy.open(0), energy, silence)} == {Silent}
    passed = [event for event in run(none.open(0), none, silence) if isinstance(event, Speech)]
    assert b"".join(speech.pcm for speech in passed) == silence


def test_ending_a_segment_ends_it_at_exactly_the_last_sample_and_begins_the_grid_anew() -> None:
    gate = Gate(PlainDetector(), SETTINGS)
    stream = gate.open(1000)
    speech = windows_of((LOUD, 10))[: 9 * WINDOW_BYTES + 100 * SAMPLE_BYTES]
    run(stream, gate, speech)

    stream.end_segment()
    stream.end_segment()
    events = stream.take()
    after = run(stream, gate, windows_of((LOUD, 2)))

    end = 1000 + 9 * WINDOW_SAMPLES + 100
    assert events == [Speech(speech[-200:]), SegmentClosed(end, b"\0")]
    assert (stream.position, after[0]) == (end + 2 * WINDOW_SAMPLES, SegmentOpened(end))


def test_a_tail_may_open_the_segment_that_it_ends() -> None:
    gate = Gate(PlainDetector(), SETTINGS)
    stream = gate.open(0)
    speech = windows_of((LOUD, 2))[: WINDOW_BYTES + 2]
    run(stream, gate, speech)

    stream.end_segment()

    end = WINDOW_SAMPLES + 1
    assert stream.take() == [SegmentOpened(0), Speech(speech[:-2]), Speech(speech[-2:]), SegmentClosed(end, b"\0")]


def test_ending_in_silence_settles_it() -> None:
    gate = Gate(PlainDetector(), SETTINGS)
    stream = gate.open(0)
    run(stream, gate, windows_of((QUIET, 2)) + bytes(6))

    stream.end_segment()
    stream.end_segment()

    assert stream.take() == [Silent(2 * WINDOW_SAMPLES + 3, b"\0")]


def test_a_state_of_another_detector_counts_as_none() -> None:
    gate = Gate(PlainDetector(), SETTINGS)

    assert run(gate.open(0, b"\1" + bytes(1152)), gate, windows_of((LOUD, 1)))[0] == SegmentOpened(0)


# Runs of windows at all levels, and now and then more silence or speech than a segment holds.
RUNS = st.lists(st.tuples(st.sampled_from((LOUD, 0.7, MIDDLE, 0.5, QUIET)), st.integers(1, 70)), min_size=1, max_size=8)


# Frames of all sizes in turn, one of them long: a minute in single samples shows no more and takes as long.
FRAMES = st.lists(st.integers(1, 5000), max_size=20).map(lambda sizes: [*sizes, 3000])


@given(RUNS, FRAMES, st.integers(0, WINDOW_SAMPLES - 1))
def test_framing_and_company_change_nothing(runs: list[tuple[float, int]], sizes: list[int], tail: int) -> None:
    gate = Gate(RememberingDetector(), SETTINGS)
    pcm = windows_of(*runs, (LOUD, 1))[: -(WINDOW_BYTES - tail * SAMPLE_BYTES)]
    whole, framed = gate.open(0), gate.open(0)
    expected = run(whole, gate, pcm)
    whole.end_segment()
    expected += whole.take()
    company = gate.open(7)

    company.accept(pcm)
    events: list[GateEvent] = []
    at = turn = 0
    while at < len(pcm):
        size = sizes[turn % len(sizes)] * SAMPLE_BYTES
        framed.accept(pcm[at : at + size])
        at, turn = at + size, turn + 1
        for _ in range(turn % 4):
            gate.step([company, framed])
        events += framed.take()
    while framed.pending:
        gate.step([framed])
    framed.end_segment()
    assert events + framed.take() == expected


@given(RUNS, RUNS, st.integers(0, WINDOW_SAMPLES - 1))
@example([(LOUD, 62)], [(MIDDLE, 5)], 0)
@example([(QUIET, 70)], [(QUIET, 70)], 1)
def test_every_state_begins_the_same_future(
    runs: list[tuple[float, int]], more: list[tuple[float, int]], flushed_samples: int
) -> None:
    gate = Gate(RememberingDetector(), SETTINGS)
    before = windows_of(*runs) + bytes(flushed_samples * SAMPLE_BYTES)
    pcm = before + windows_of(*more)
    stream = gate.open(0)

    def live(stream: GateStream, first_sample: int) -> list[GateEvent]:
        """Hear all from there on, with the same flush and the same end; a flush that is answered is not repeated."""
        flush_at = len(before) - first_sample * SAMPLE_BYTES
        events = run(stream, gate, pcm[first_sample * SAMPLE_BYTES :][: max(flush_at, 0)])
        if flush_at > 0:
            stream.end_segment()
        events += stream.take() + run(stream, gate, pcm[max(first_sample * SAMPLE_BYTES, len(before)) :])
        stream.end_segment()
        return events + stream.take()

    events = live(stream, 0)
    positions = [0, *(e.end_sample if isinstance(e, SegmentClosed) else e.sample for e in points(events))]
    assert all(one <= two for one, two in pairwise(positions))
    for index, event in enumerate(events):
        if isinstance(event, SegmentClosed | Silent):
            sample = event.end_sample if isinstance(event, SegmentClosed) else event.sample
            assert len(event.state) <= 2048
            assert live(gate.open(sample, event.state), sample) == events[index + 1 :]


def points(events: list[GateEvent]) -> list[SegmentClosed | Silent]:
    return [event for event in events if isinstance(event, SegmentClosed | Silent)]


def test_the_settings_choose_the_detector() -> None:
    gate = create_gate(GateSettings(detector="none"))

    assert run(gate.open(0), gate, bytes(WINDOW_BYTES))[0] == SegmentOpened(0)
