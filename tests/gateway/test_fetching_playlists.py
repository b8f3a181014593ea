"""What is read of a playlist, and that nothing in one takes the reader long or by surprise."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scribewire.errors import UnsupportedAudio
from scribewire.gateway.fetching.playlists import Master, Media, Piece, Segment, parse


def test_a_media_playlist_is_read() -> None:
    text = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:41
#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@0"
#EXTINF:6.006,A title, with a comma
a.m4s?x=1

#EXT-X-DISCONTINUITY
#EXT-X-BYTERANGE:100@720
#EXTINF:5,
all.m4s
#EXT-X-BYTERANGE:50
all.m4s
#EXT-X-ENDLIST
"""
    head = Piece("init.mp4", (0, 719))
    pieces = [Piece("a.m4s?x=1"), Piece("all.m4s", (720, 819)), Piece("all.m4s", (820, 869))]
    assert parse(text) == Media(41, 6.0, True, [Segment(piece, head) for piece in pieces])


def test_a_live_playlist_has_no_end() -> None:
    assert parse("#EXTM3U\r\n#EXTINF:2,\r\n1.ts\r\n") == Media(segments=[Segment(Piece("1.ts"), None)])


def test_of_several_variants_the_smallest_is_taken() -> None:
    text = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,CODECS="avc1.4d401f,mp4a.40.2"
high.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="frames.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=64000
low.m3u8
"""
    assert parse(text) == Master("low.m3u8")


def test_sound_of_its_own_is_taken_and_of_that_the_default() -> None:
    text = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch",DEFAULT=NO,URI="de.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English, plain",DEFAULT=YES,URI="en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",URI="s.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=64000,AUDIO="a",SUBTITLES="s"
low.m3u8
"""
    assert parse(text) == Master("en.m3u8")


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n#EXTM3U", "#EXTM3U8", "http://radio.example/stream.mp3", "[playlist]\nFile1=http://radio.example/"),
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n",
        *("#EXTM3U\n#EXT-X-TARGETDURATION:nan\n", "#EXTM3U\n#EXT-X-TARGETDURATION:-1\n"),
        *("#EXTM3U\n#EXT-X-TARGETDURATION:1e9\n", "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:-1\n"),
        *(
            "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:" + "9" * 5000,
            "#EXTM3U\n#EXT-X-BYTERANGE:x\na.ts",
            "#EXTM3U\n#EXT-X-MAP:X=1",
        ),
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:²\n",
        '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"\n#EXTINF:2,\na.ts',
        "#EXTM3U\n" + "a.ts\n" * 50_001,
    ],
)
def test_what_is_no_readable_playlist_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedAudio):
        parse(text)


@given(st.lists(st.sampled_from(["#EXT-X-", "MAP:", "KEY:METHOD=", "URI=", '"', ",", "\n", "#EXTINF:", "1", "@", "é"])))
def test_whatever_stands_in_a_playlist_is_read_or_refused(parts: list[str]) -> None:
    with suppress(UnsupportedAudio):
        parse("#EXTM3U\n" + "".join(parts))


@pytest.mark.parametrize("line", ["#EXT-X-STREAM-INF:{}\n", "#EXT-X-MAP:{}\n", "#EXTINF:{}\na.ts\n"])
@pytest.mark.parametrize("filling", ['"', 'A="', "A=,", ",", "A=", '"A="', "=A", "A"])
def test_the_longest_line_is_read_in_no_time(line: str, filling: str) -> None:
    text = "#EXTM3U\n" + line.format(filling * (1_000_000 // len(filling)))
    began_s = time.process_time()
    with suppress(UnsupportedAudio):
        parse(text)
    assert time.process_time() - began_s < 2.0
