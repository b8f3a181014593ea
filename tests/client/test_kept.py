"""What a durable session keeps: all of it up to the bound, then all but the oldest silence, then the newest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scribewire.client.kept import BLOCK_SAMPLES, QUIET_PEAK, Kept, is_quiet

LOUD = (b"\x00\x40" * BLOCK_SAMPLES)[:]
QUIET = b"\x05\x00" * BLOCK_SAMPLES
GONE = bytes(2 * BLOCK_SAMPLES)


def keep(*blocks: bytes, bound: int) -> Kept:
    kept = Kept(bound * BLOCK_SAMPLES)
    for block in blocks:
        kept.append(block)
    return kept


def shown(kept: Kept) -> str:
    """Spell what is kept: Loud, quiet, or - for gone."""
    pcm = kept.read(kept.first_sample, kept.end_sample)
    blocks = [pcm[at : at + 2 * BLOCK_SAMPLES] for at in range(0, len(pcm), 2 * BLOCK_SAMPLES)]
    return "".join({LOUD: "L", QUIET: "q", GONE: "-"}[block] for block in blocks)


def test_past_the_bound_the_oldest_silence_goes_first() -> None:
    assert shown(keep(LOUD, QUIET, LOUD, QUIET, bound=4)) == "LqLq"
    assert shown(keep(LOUD, QUIET, LOUD, QUIET, LOUD, bound=4)) == "L-LqL"
    assert shown(keep(LOUD, QUIET, LOUD, QUIET, LOUD, LOUD, bound=4)) == "L-L-LL"


def test_where_there_is_no_silence_the_oldest_sound_goes() -> None:
    assert shown(keep(LOUD, LOUD, LOUD, QUIET, LOUD, LOUD, bound=3)) == "--L-LL"


def test_what_was_let_go_of_is_told_once_with_its_span_and_whether_it_was_silent() -> None:
    kept = keep(QUIET, QUIET, LOUD, LOUD, LOUD, bound=2)
    assert shown(kept) == "---LL"
    spans = [(0, 2 * BLOCK_SAMPLES, True), (2 * BLOCK_SAMPLES, 3 * BLOCK_SAMPLES, False)]
    assert kept.held_from(10) == 3 * BLOCK_SAMPLES
    assert kept.take_lost(0, kept.end_sample) == spans
    assert kept.take_lost(0, kept.end_sample) == []


def test_what_is_held_is_held_from_where_one_asks() -> None:
    kept = keep(LOUD, QUIET, bound=2)
    assert kept.held_from(7) == 7
    assert kept.held_from(kept.end_sample) == kept.end_sample


def test_what_was_released_makes_room() -> None:
    kept = keep(LOUD, LOUD, LOUD, bound=3)
    kept.release(2 * BLOCK_SAMPLES + 5)
    assert kept.first_sample == 2 * BLOCK_SAMPLES
    kept.append(LOUD + LOUD)
    assert shown(kept) == "LLL"


def test_quiet_is_below_the_peak() -> None:
    quiet, loud = (value.to_bytes(2, "little", signed=True) * 9 for value in (-QUIET_PEAK, QUIET_PEAK + 1))
    assert is_quiet(quiet)
    assert not is_quiet(quiet + loud)


@given(
    st.lists(st.tuples(st.integers(0, 2 * BLOCK_SAMPLES), st.booleans()), max_size=30),
    st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_what_is_not_gone_reads_as_it_was(pieces: list[tuple[int, bool]], span: list[float]) -> None:
    kept, audio = Kept(10 * BLOCK_SAMPLES), b""
    for samples, is_loud in pieces:
        piece = (b"\x00\x40" if is_loud else b"\x05\x00") * samples
        kept.append(piece)
        audio += piece
    start, end = sorted(round(share * kept.end_sample) for share in span)
    pcm = kept.read(start, end)
    assert len(pcm) == 2 * (end - start)
    gone = {at for first, last, _ in kept.take_lost(start, end) for at in range(first, last)}
    for at in range(start, end, 97):
        sample = pcm[2 * (at - start) : 2 * (at - start) + 2]
        assert sample == (b"\0\0" if at in gone else audio[2 * at : 2 * at + 2])
