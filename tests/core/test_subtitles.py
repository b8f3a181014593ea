"""Subtitle files, to the byte."""

from __future__ import annotations

from scribewire.core.captions import Cue
from scribewire.core.phrases import TimedWord
from scribewire.core.subtitles import Srt, WebVtt


def cue(*lines: str, start_ms: int = 0, end_ms: int = 2_000) -> Cue:
    """Give a cue whose words take 100 ms each."""
    at_ms, rows = start_ms, []
    for line in lines:
        words = line.split()
        rows.append(tuple(TimedWord(word, at_ms + n * 100, at_ms + n * 100 + 100) for n, word in enumerate(words)))
        at_ms += len(words) * 100
    return Cue(start_ms, end_ms, tuple(rows))


def test_srt_numbers_its_cues_and_ends_lines_as_subrip_does() -> None:
    srt = Srt()
    said = srt.spell(cue("one two", "three")) + srt.spell(cue("four", start_ms=3_723_004, end_ms=3_725_000))
    assert srt.head + said == (
        "1\r\n00:00:00,000 --> 00:00:02,000\r\none two\r\nthree\r\n\r\n"
        "2\r\n01:02:03,004 --> 01:02:05,000\r\nfour\r\n\r\n"
    )


def test_webvtt_begins_with_its_name_and_has_a_point_in_its_times() -> None:
    vtt = WebVtt()
    said = vtt.head + vtt.spell(cue("one two", "three"))
    assert said == "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\none two\nthree\n\n"


def test_webvtt_escapes_what_would_be_markup() -> None:
    assert "R&amp;D &lt;b&gt; --&gt;\n" in WebVtt().spell(cue("R&D <b> -->"))


def test_webvtt_with_word_times_says_when_each_word_but_the_first_is_said() -> None:
    said = WebVtt(word_times=True).spell(cue("one <two>", "three", start_ms=1_000, end_ms=3_000))
    assert "\none <00:00:01.100>&lt;two&gt;\n<00:00:01.200>three\n" in said


def test_word_times_only_grow_and_stay_within_the_cue() -> None:
    words = tuple(TimedWord(text, at_ms, at_ms) for text, at_ms in (("a", 0), ("b", 500), ("c", 500), ("d", 2_000)))
    assert "\na <00:00:00.500>b c d\n" in WebVtt(word_times=True).spell(Cue(0, 2_000, (words,)))
