"""Sources: what a URL leads to becomes samples, in a process that can do nothing else, within the bounds set."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from scribewire.errors import FetchFailed, FetchRefused, ScribewireError, UnsupportedAudio
from scribewire.gateway.fetching.calls import Caller
from scribewire.gateway.fetching.decoding import Decoder
from scribewire.gateway.fetching.hls import Hls
from scribewire.gateway.fetching.pace import Pace
from scribewire.gateway.fetching.rules import Rules
from scribewire.gateway.fetching.source import Source
from scribewire.settings import FetchSettings
from tests.media import encode, playlist, segments
from tests.origin import Origin, head, redirect, reply, serving
from tests.speech import clips

pytestmark = pytest.mark.e2e

TLS = ssl.create_default_context()
HLS_TYPE = "application/vnd.apple.mpegurl"


@pytest.fixture(scope="module")
def pcm() -> bytes:
    return clips()["rms-pauses"].pcm()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with serving() as origin:
        yield origin


def settings_for(origin: Origin, **settings: Any) -> FetchSettings:
    given = {"schemes": ("http",), "hosts": ("127.0.0.1",), "ports": (origin.port,), "private": True} | settings
    return FetchSettings(**given)


def caller_of(settings: FetchSettings) -> Caller:
    return Caller(Rules(settings), most_bytes=settings.max_bytes, tls=TLS)


def source(origin: Origin, path: str, **settings: Any) -> Source:
    chosen = settings_for(origin, **settings)
    return Source(chosen, caller_of(chosen), origin.url + path)


async def follow(hls: Hls, url: str, text: str) -> None:
    await hls.open(httpx.URL(url), text)
    await hls.give(let_go)


async def let_go(block: bytes) -> None:
    pass


async def read_on(opened: Source, got: list[bytes]) -> None:
    """Read to the end, or to what is in its place."""
    while not got or got[-1]:
        got.append(await opened.read())


async def heard(origin: Origin, path: str, **settings: Any) -> bytes:
    """Read a source to its end."""
    async with asyncio.timeout(30), source(origin, path, **settings) as opened:
        pcm = block = await opened.first()
        while block:
            block = await opened.read()
            pcm += block
    return pcm


async def timed(origin: Origin, path: str) -> tuple[bytes, float]:
    """Read a source to its end; say how long that took from its first sound on."""
    async with asyncio.timeout(30), source(origin, path) as opened:
        got = [await opened.first()]
        began_s = time.monotonic()
        await read_on(opened, got)
        return b"".join(got), time.monotonic() - began_s


async def refusal(origin: Origin, path: str, **settings: Any) -> ScribewireError:
    with pytest.raises(ScribewireError) as caught:
        await heard(origin, path, **settings)
    return caught.value


def s_of(pcm: bytes) -> float:
    return len(pcm) / 32_000


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "codec", "options"),
    [
        ("wav", "pcm_s16le", {}),
        ("mp3", "libmp3lame", {}),
        ("flac", "flac", {}),
        ("ogg", "libopus", {}),
        ("webm", "libopus", {}),
        ("adts", "aac", {}),
        ("mpegts", "aac", {}),
        ("mp4", "aac", {"movflags": "empty_moov+frag_keyframe"}),
    ],
)
async def test_a_file_is_decoded_whole(
    origin: Origin, pcm: bytes, form: str, codec: str, options: dict[str, str]
) -> None:
    origin.answers["/a"] = reply(encode(pcm, form, codec, **options))
    assert s_of(await heard(origin, "/a")) == pytest.approx(s_of(pcm), abs=0.1)


async def test_a_wav_file_of_the_inner_format_comes_through_as_it_is(origin: Origin, pcm: bytes) -> None:
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", len(pcm)
    )
    origin.answers["/a"] = reply(header + pcm, type_="audio/wav")
    assert await heard(origin, "/a") == pcm


@pytest.mark.parametrize("type_", ["text/html", "image/png", "application/json", "text/plain; charset=utf-8"])
async def test_what_says_that_it_is_no_audio_is_refused(origin: Origin, pcm: bytes, type_: str) -> None:
    origin.answers["/a"] = reply(encode(pcm, "mp3", "libmp3lame"), type_=type_)
    assert isinstance(await refusal(origin, "/a"), UnsupportedAudio)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not audio" * 1000,
        os.urandom(10_000),
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        b'<?xml version="1.0"?><MPD><Period><BaseURL>file:///etc/</BaseURL></Period></MPD>',
        b"[playlist]\nFile1=file:///etc/passwd\n",
    ],
)
async def test_what_holds_no_audio_is_refused_whatever_it_refers_to(origin: Origin, body: bytes) -> None:
    origin.answers["/a"] = reply(body, type_="application/octet-stream")
    assert isinstance(await refusal(origin, "/a"), UnsupportedAudio)


@pytest.mark.parametrize(("form", "codec"), [("mp3", "libmp3lame"), ("adts", "aac")])
async def test_damage_in_the_middle_is_a_gap(origin: Origin, pcm: bytes, form: str, codec: str) -> None:
    whole, chance = bytearray(encode(pcm, form, codec)), random.Random(3)
    for _ in range(50):  # AAC's decoder says several things of it, "Operation not permitted" among them
        whole[chance.randrange(len(whole) // 4, len(whole) * 3 // 4)] = chance.randrange(256)
    origin.answers["/a"] = reply(bytes(whole))
    assert s_of(await heard(origin, "/a")) == pytest.approx(s_of(pcm), abs=1.0)


async def test_what_can_be_decoded_no_further_is_heard_as_far_as_it_goes(origin: Origin, pcm: bytes) -> None:
    begin, parts = segments(pcm, "mp4")
    good, (head, index, rest) = begin + parts[0] + parts[1], parts[2].partition(b"trun")
    origin.answers |= {"/good": reply(good), "/a": reply(good + head + index + b"\xff" * 8 + rest[8:])}
    got: list[bytes] = []
    async with source(origin, "/a") as opened:
        got.append(await opened.first())
        with pytest.raises(UnsupportedAudio, match="any further"):
            await read_on(opened, got)
    assert s_of(b"".join(got)) == pytest.approx(s_of(await heard(origin, "/good")), abs=0.02)


async def test_what_was_fetched_of_a_source_that_breaks_off_is_heard_first(origin: Origin, pcm: bytes) -> None:
    whole = encode(pcm, "mp3", "libmp3lame")
    origin.answers["/a"] = reply(whole[: len(whole) // 2], Content_Length=str(len(whole)))
    got: list[bytes] = []
    async with source(origin, "/a") as opened:
        with pytest.raises(FetchFailed, match="broke off"):
            await read_on(opened, got)
    assert s_of(b"".join(got)) == pytest.approx(s_of(pcm) / 2, abs=0.5)


# --- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bound", "what"), [({"max_s": 2}, "longer"), ({"max_bytes": 100_000}, "larger")])
async def test_a_source_past_a_bound_is_left(origin: Origin, pcm: bytes, bound: dict[str, int], what: str) -> None:
    origin.answers["/a"] = reply(encode(pcm, "wav", "pcm_s16le"))
    assert what in str(await refusal(origin, "/a", **bound))


@pytest.mark.parametrize("drip", [b"", b"\x00"])
async def test_a_source_that_never_becomes_audio_is_left_in_time(origin: Origin, drip: bytes) -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", {"Content-Type": "audio/mpeg"}))
        while True:
            writer.write(drip)
            await writer.drain()
            await asyncio.sleep(0.02)

    origin.answers["/a"] = slow
    assert "in time" in str(await refusal(origin, "/a", load_wait_s=0.7))


async def test_a_source_that_stops_giving_is_left_in_time(origin: Origin, pcm: bytes) -> None:
    whole = encode(pcm, "mp3", "libmp3lame")

    async def stuck(writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", {"Content-Type": "audio/mpeg", "Content-Length": str(len(whole))}))
        writer.write(whole[: len(whole) // 2])
        await writer.drain()
        await asyncio.sleep(20)

    origin.answers["/a"] = stuck
    assert "in time" in str(await refusal(origin, "/a", stall_s=0.3))


async def test_a_source_that_is_not_read_is_not_fetched_either(origin: Origin) -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        size = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", 1 << 31
        )
        writer.write(head("200 OK", {"Content-Type": "audio/wav", "Content-Length": str(1 << 31)}) + size)
        while True:
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    origin.answers["/a"] = endless
    async with source(origin, "/a") as opened:
        await opened.first()
        before = -1
        while sent != before:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.3)
    assert sent < 16_000_000


# --- the decoder's process -------------------------------------------------------------------------------------------


def children() -> set[psutil.Process]:
    """Give our children, those among them that other tests' fixtures keep."""
    return set(psutil.Process().children())


async def test_the_decoder_can_open_nothing_and_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_WORKER__SECRET", "not for strangers")
    decoder = await Decoder.spawn(audio_s=60)
    try:
        running = psutil.Process(decoder.pid)
        await decoder.feed(encode(bytes(4 * 32_000), "wav", "pcm_s16le"))
        await asyncio.wait_for(decoder.read(1), 10)  # it has begun, so its limits hold
        limits = (Path("/proc") / str(decoder.pid) / "limits").read_text(encoding="ascii").splitlines()
        soft = {line[:26].strip(): line[26:].split()[0] for line in limits}
        assert (soft["Max open files"], soft["Max file size"], soft["Max core file size"]) == ("0", "0", "0")
        assert soft["Max cpu time"] == "33"
        assert soft["Max address space"] == str(512 * 1024 * 1024)
        assert not any(name.startswith("SCRIBEWIRE") for name in running.environ())
        assert running.net_connections() == []
    finally:
        await decoder.close()
    assert not running.is_running()


async def test_a_decoder_ends_with_its_parent_however_that_dies() -> None:
    script = """
import asyncio
from scribewire.gateway.fetching.decoding import Decoder
async def main():
    print((await Decoder.spawn(audio_s=60)).pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    decoder = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(5):
        while decoder.is_running() and decoder.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_a_killed_decoder_ends_the_source_in_a_sentence(origin: Origin, pcm: bytes) -> None:
    origin.answers["/a"] = reply(encode(pcm * 20, "wav", "pcm_s16le"))
    before = children()
    async with source(origin, "/a") as opened:
        await opened.first()
        [decoder] = children() - before
        decoder.kill()
        with pytest.raises(UnsupportedAudio, match="any further"):
            await read_on(opened, [])


async def test_nothing_is_left_of_a_source_that_is_left_early(origin: Origin, pcm: bytes) -> None:
    files, before = psutil.Process().num_fds(), children()
    origin.answers["/a"] = reply(encode(pcm * 20, "wav", "pcm_s16le"))
    for _ in range(3):
        async with source(origin, "/a") as opened:
            await opened.first()
    async with asyncio.timeout(5):
        while origin.open or psutil.Process().num_fds() > files:
            await asyncio.sleep(0.01)
    assert children() == before


@pytest.mark.parametrize("ready", [False, True])
async def test_nothing_is_left_of_a_decoder_that_is_broken_off(ready: bool) -> None:
    await (await Decoder.spawn(audio_s=60)).close()  # the loop keeps something of its own for the first
    files, before = psutil.Process().num_fds(), children()
    spawning = asyncio.create_task(Decoder.spawn(audio_s=60))
    if ready:
        closing = asyncio.create_task((await spawning).close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
    else:
        await asyncio.sleep(0)
        spawning.cancel()
        await asyncio.gather(spawning, return_exceptions=True)
    async with asyncio.timeout(5):
        while psutil.Process().num_fds() > files or children() != before:
            await asyncio.sleep(0.01)


# --- streams ---------------------------------------------------------------------------------------------------------


def test_live_sound_is_held_back_to_the_pace_of_speech_and_lost_time_is_not_made_up_for() -> None:
    pace, second = Pace(), bytes(32_000)
    assert pace.hold_s(second, 10.0) == 0
    assert pace.hold_s(second, 10.1) == pytest.approx(0.9)
    assert pace.hold_s(second, 11.0) == pytest.approx(1.0)
    assert pace.hold_s(second, 20.0) == 0
    assert pace.hold_s(second, 20.0) == pytest.approx(1.0)


async def test_radio_is_heard_in_real_time(origin: Origin, pcm: bytes) -> None:
    whole = encode(pcm[: 3 * 32_000], "mp3", "libmp3lame")

    async def radio(writer: asyncio.StreamWriter) -> None:
        headers = {"Content-Type": "audio/mpeg", "icy-name": "Radio", "icy-br": "128", "icy-metaint": "0"}
        writer.write(head("200 OK", headers, version="HTTP/1.0") + whole)
        await writer.drain()

    origin.answers["/a"] = radio
    heard, took_s = await timed(origin, "/a")
    assert s_of(heard) == pytest.approx(3, abs=0.1)
    assert took_s > s_of(heard) - 0.5


def publish(origin: Origin, pcm: bytes, form: str, **options: Any) -> list[str]:
    """Put a stream's segments on the server; give their names."""
    begin, parts = segments(pcm, form, **options)
    origin.answers["/init.mp4"] = reply(begin, type_="video/mp4")
    for number, part in enumerate(parts):
        origin.answers[f"/{number}"] = reply(part, type_="video/mp2t")
    return [str(number) for number in range(len(parts))]


@pytest.mark.parametrize("form", ["mpegts", "mp4"])
async def test_a_recorded_hls_stream_is_decoded_whole(origin: Origin, pcm: bytes, form: str) -> None:
    names = publish(origin, pcm, form)
    origin.answers["/media"] = reply(
        playlist(names, head="/init.mp4" if form == "mp4" else "").encode(), type_=HLS_TYPE
    )
    master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\nnone\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmedia\n"
    origin.answers["/a"] = reply(master.encode(), type_=HLS_TYPE)
    assert s_of(await heard(origin, "/a")) == pytest.approx(s_of(pcm), abs=0.2)
    assert [path for path in origin.paths if path[1:].isdigit()] == [f"/{name}" for name in names]


async def test_byte_ranges_are_asked_for(origin: Origin, pcm: bytes) -> None:
    begin, parts = segments(pcm, "mp4")
    whole = begin + b"".join(parts)

    async def ranged(writer: asyncio.StreamWriter) -> None:
        first, last = map(int, origin.asked[-1].partition("Range: bytes=")[2].split()[0].split("-"))
        await reply(whole[first : last + 1], status="206 Partial Content", type_="video/mp4")(writer)

    lines = [
        f"#EXT-X-BYTERANGE:{len(part)}" + f"@{len(begin)}" * (number == 0) + "\nall"
        for number, part in enumerate(parts)
    ]
    text = f'#EXTM3U\n#EXT-X-MAP:URI="all",BYTERANGE="{len(begin)}@0"\n' + "\n".join(lines) + "\n#EXT-X-ENDLIST\n"
    origin.answers |= {"/a": reply(text.encode(), type_=HLS_TYPE), "/all": ranged}
    assert s_of(await heard(origin, "/a")) == pytest.approx(s_of(pcm), abs=0.2)


def sliding(origin: Origin, names: list[str], *, shown: int) -> Callable[[asyncio.StreamWriter], Any]:
    """Show another segment each time that the playlist is asked for, and drop the oldest."""
    steps = count(shown)

    async def answer(writer: asyncio.StreamWriter) -> None:
        end = min(next(steps), len(names))
        first = max(0, end - shown)
        text = playlist(names[first:end], first=first, ended=end == len(names), target_s=0.5)
        await reply(text.encode(), type_=HLS_TYPE)(writer)

    return answer


async def test_a_live_hls_stream_begins_near_its_end_and_is_followed(origin: Origin, pcm: bytes) -> None:
    pcm = pcm[: 6 * 32_000]
    names = publish(origin, pcm, "mpegts", each_s=0.5)
    origin.answers["/a"] = sliding(origin, names, shown=5)
    heard, took_s = await timed(origin, "/a")
    assert s_of(heard) == pytest.approx(s_of(pcm) - 1.0, abs=0.5)
    assert took_s > s_of(heard) - 0.5
    asked = [path for path in origin.paths if path[1:].isdigit()]
    assert asked == [f"/{name}" for name in names[2:]]


async def test_a_live_stream_goes_on_without_a_segment_that_is_gone(origin: Origin, pcm: bytes) -> None:
    pcm = pcm[: 6 * 32_000]
    names = publish(origin, pcm, "mpegts", each_s=0.5)
    del origin.answers["/5"]
    origin.answers["/a"] = sliding(origin, names, shown=5)
    assert s_of(await heard(origin, "/a")) == pytest.approx(s_of(pcm) - 1.5, abs=0.7)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:{port}/secret",
        "http://example.org/secret",
        "//example.org/secret",
        "http://user:password@127.0.0.1:{port}/secret",
        "http://127.0.0.1:22/",
        "http://2130706433:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "https://127.0.0.1:{port}/secret",
        "concat:/secret|/etc/passwd",
        "concat:http://127.0.0.1:{port}/secret",
        "subfile:,,start,0,end,100,,:/etc/passwd",
        "data:audio/mpeg;base64,AAAA",
        "crypto:/etc/passwd",
        "http://127.0.0.1:{port}/elsewhere",
    ],
)
@pytest.mark.parametrize("where", ["segment", "map", "variant", "rendition"])
async def test_a_playlist_that_points_elsewhere_is_refused(origin: Origin, url: str, where: str) -> None:
    url = url.format(port=origin.port)
    texts = {
        "segment": playlist([url]),
        "map": playlist(["0"], head=url),
        "variant": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n",
        "rendition": '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="' + url + '"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\n0\n',
    }
    origin.answers |= {"/secret": reply(b"secret"), "/0": reply(b"")}
    origin.answers["/elsewhere"] = redirect("http://169.254.169.254/")
    caller = caller_of(settings_for(origin))
    with pytest.raises(FetchRefused):
        await follow(Hls(caller), origin.url + "/a", texts[where])
    await caller.close()
    assert set(origin.paths) <= {"/elsewhere"}


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\nhttp://radio.example/stream.mp3\n#EXT-X-TARGETDURATION:x\n",
        '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="key"\n#EXTINF:2,\n0\n#EXT-X-ENDLIST\n',
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na\n",
        "#EXTM3U\n#EXT-X-ENDLIST\n",
    ],
)
async def test_a_playlist_that_leads_to_no_segments_is_refused(origin: Origin, text: str) -> None:
    origin.answers["/a"] = reply(text.encode(), type_=HLS_TYPE)
    assert isinstance(await refusal(origin, "/a"), UnsupportedAudio)


async def test_an_endless_playlist_is_broken_off(origin: Origin) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", {"Content-Type": HLS_TYPE}) + b"#EXTM3U\n")
        while True:
            writer.write(b"#EXTINF:2,\nx.ts\n" * 1000)
            await writer.drain()

    origin.answers["/a"] = endless
    assert "too long" in str(await refusal(origin, "/a"))
