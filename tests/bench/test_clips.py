"""What sessions say: the ring of clips, and reading them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from scribewire.bench.clips import GAP_MS, Clip, Reel, read_clips, read_references
from scribewire.errors import NotFound, UnsupportedAudio
from scribewire.tones import say, silence

GAP = silence(GAP_MS)
ONE, TWO = Clip("one", b"\1\0" * 1600, "one"), Clip("two", b"\2\0" * 3200)


@pytest.mark.parametrize("frame_bytes", [2, 640, 3200, 100_000])
@pytest.mark.parametrize(("place", "order"), [(0, (ONE, TWO)), (1, (TWO, ONE)), (2, (ONE, TWO))])
def test_a_session_says_all_clips_in_turn_from_its_own_on(
    place: int, order: tuple[Clip, ...], frame_bytes: int
) -> None:
    reel = Reel([ONE, TWO])
    wanted = b"".join(clip.pcm + GAP for clip in order * 3)
    frames = [reel.audio(place, at, frame_bytes) for at in range(0, len(wanted), frame_bytes)]
    assert {len(frame) for frame in frames} == {frame_bytes}
    assert b"".join(frames)[: len(wanted)] == wanted


def test_spans_say_when_each_clip_is_said() -> None:
    spans = [(span.clip.name, span.start_ms, span.end_ms) for span in islice(Reel([ONE, TWO]).spans(1), 3)]
    assert spans == [("two", 0, 200), ("one", 800, 900), ("two", 1500, 1700)]


def test_sound_begins_with_the_first_loud_clip_of_the_round() -> None:
    loud = Clip("loud", silence(60) + say("alfa"))
    assert loud.onset_ms == 60
    assert Reel([ONE, loud]).onset_ms(0) == 100 + GAP_MS + 60
    assert Reel([ONE, loud]).onset_ms(1) == 60
    assert Reel([ONE, TWO]).onset_ms(0) is None


async def test_words_are_read_from_the_table_or_from_beside_the_clip(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.raw").write_bytes(say("alfa"))
    (tmp_path / "b.txt").write_text(" bravo\n")
    table = tmp_path / "words.tsv"
    table.write_text('file\ttext\na.raw\tan "alfa"\n')
    clips = await read_clips([tmp_path / f"{name}.raw" for name in ("a", "b", "c")], table)
    assert [(clip.name, clip.text) for clip in clips] == [("a.raw", 'an "alfa"'), ("b.raw", "bravo"), ("c.raw", None)]
    assert clips[0].pcm == say("alfa")


async def test_a_clip_without_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.raw").touch()
    with pytest.raises(UnsupportedAudio, match=r"empty\.raw holds no audio"):
        await read_clips([tmp_path / "empty.raw"], None)


def test_a_table_without_the_columns_says_which_is_missing(tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("file\twords\na.wav\talfa\n")
    with pytest.raises(NotFound, match="no column 'text'"):
        read_references(tmp_path / "words.tsv")
