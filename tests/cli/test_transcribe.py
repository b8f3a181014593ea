"""What `transcribe` and `mic` show on a terminal and write to files, against a service that a test directs."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from tests.cli.run import run, spawn
from tests.cli.screen import on_terminal
from tests.cli.speaking import FIRST, SECOND, SPEECH, Speaking, ask, final, partial, speaking
from tests.client.fake_service import LISTENING, FakeService, running

pytestmark = pytest.mark.e2e

# --- the screen ------------------------------------------------------------------------------------------------------


async def test_on_a_terminal_finals_stand_above_a_partial_that_grows_above_how_it_goes(tmp_path: Path) -> None:
    async with (
        speaking() as service,
        on_terminal(*ask(service, "-"), data_dir=tmp_path) as terminal,
    ):
        service.says = {
            64_000: [partial("hi how", 1_000)],
            80_000: [partial("hi how are", 2_400)],
            96_000: [final(FIRST, 0), partial("fine", 2_800)],
        }
        stdin = terminal.process.stdin
        assert stdin
        stdin.write(bytes(64_000))
        assert await terminal.until(lambda rows: "hi how" in rows) == ["hi how", "● 0:02  lag 1.0 s  ▯▯▯▯▯▯▯▯"]
        stdin.write(bytes(16_000))
        assert (await terminal.until(lambda rows: "hi how are" in rows))[-1] == "● 0:02  lag 0.1 s  ▯▯▯▯▯▯▯▯"
        stdin.write(bytes(16_000))
        assert (await terminal.until(lambda rows: "fine" in rows))[:-1] == [FIRST, "fine"]
        stdin.write(SPEECH)
        stdin.close()
        assert await terminal.end() == 0
        assert await terminal.until(lambda rows: SECOND in rows) == [FIRST, SECOND]


async def test_a_file_has_a_bar_and_the_time_that_is_left(tmp_path: Path) -> None:
    (tmp_path / "speech.raw").write_bytes(bytes(32_000 * 30))
    async with (
        speaking() as service,
        on_terminal(*ask(service, str(tmp_path / "speech.raw"), "--pace", "realtime"), data_dir=tmp_path) as terminal,
    ):
        going = re.compile(r"0:0\d / 0:30  +\d+%  ETA 0:\d\d  ▯+  ━+╌+")
        await terminal.until(lambda rows: bool(rows and going.fullmatch(rows[-1])))


async def test_audio_that_is_sent_ahead_is_as_far_as_it_is_heard(tmp_path: Path) -> None:
    (tmp_path / "speech.raw").write_bytes(bytes(32_000 * 30))
    async with (
        speaking() as service,
        on_terminal(*ask(service, str(tmp_path / "speech.raw")), data_dir=tmp_path) as terminal,
    ):
        service.says = {32_000 * 30: [partial("hi", 15_000)]}
        service.may_stop.clear()
        await terminal.until(lambda rows: bool(rows and rows[-1].startswith("0:15 / 0:30   50%  ETA 0:")))
        service.may_stop.set()
        assert await terminal.end() == 0


async def test_forty_columns_are_enough(tmp_path: Path) -> None:
    async with (
        speaking() as service,
        on_terminal(*ask(service, "-"), data_dir=tmp_path, columns=40, rows=10) as terminal,
    ):
        service.says = {96_000: [final(FIRST, 0), partial(f"{SECOND} " * 12, 2_900)]}
        stdin = terminal.process.stdin
        assert stdin
        stdin.write(bytes(96_000))
        rows = await terminal.until(lambda rows: len(rows) > 5)
        assert rows[:2] == ["we walked along the road until the sun", "went down behind the hills"]
        assert len(rows) == 2 + 4 + 1, "a long partial shows its end"
        assert rows[-1].startswith("● 0:03  lag")
        stdin.write(SPEECH)
        stdin.close()
        assert await terminal.end() == 0
        assert (await terminal.until(lambda rows: rows[-1] == SECOND)) == [*rows[:2], SECOND]


async def test_captions_on_a_terminal_wait_below_until_they_are_settled(tmp_path: Path) -> None:
    async with (
        speaking() as service,
        on_terminal(*ask(service, "-", "--format", "srt"), data_dir=tmp_path) as terminal,
    ):
        service.says = {
            16_000: [partial("hi how", 500)],
            32_000: [final("hi how are you", 0)],
            64_000: [partial("fine", 2_000)],
        }
        stdin = terminal.process.stdin
        assert stdin
        stdin.write(bytes(16_000))
        await terminal.until(lambda rows: "hi how" in rows)
        stdin.write(bytes(16_000))
        await terminal.until(lambda rows: "hi how are you" in rows)
        stdin.write(bytes(32_000))
        assert (await terminal.until(lambda rows: "hi how are you fine" in rows))[:-1] == ["hi how are you fine"]
        stdin.write(SPEECH)
        stdin.close()
        assert await terminal.end() == 0
        assert "00:00:05,000 --> 00:00:06,050" in await terminal.until(lambda rows: SECOND in rows)


async def test_no_color_means_no_colours(tmp_path: Path) -> None:
    async with (
        speaking() as service,
        on_terminal(*ask(service, "-"), data_dir=tmp_path, variables={"NO_COLOR": "1"}) as terminal,
    ):
        assert terminal.process.stdin
        terminal.process.stdin.write(SPEECH)
        await terminal.until(lambda rows: bool(rows and rows[-1].startswith("●")))
        assert terminal.colours == {"default"}


async def test_a_dumb_terminal_gets_finals_alone(tmp_path: Path) -> None:
    async with (
        speaking() as service,
        on_terminal(*ask(service, "-"), data_dir=tmp_path, variables={"TERM": "dumb"}) as terminal,
    ):
        assert terminal.process.stdin
        terminal.process.stdin.write(SPEECH)
        terminal.process.stdin.close()
        assert await terminal.end() == 0
        assert await terminal.until(lambda rows: SECOND in rows)
        assert b"\x1b" not in terminal.written
        assert service.said[0]["partial"] is False


# --- files and formats -----------------------------------------------------------------------------------------------

CAPTIONS = (
    "1\r\n00:00:00,000 --> 00:00:03,250\r\nwe walked along the road\r\nuntil the sun went down behind the hills\r\n\r\n"
    "2\r\n00:00:05,000 --> 00:00:06,050\r\nshe opened the window\r\n\r\n"
)


async def test_captions_go_to_standard_output_to_the_byte(tmp_path: Path) -> None:
    async with speaking() as service:
        process = await spawn(*ask(service, "-", "--format", "srt"), data_dir=tmp_path)
        said, _ = await asyncio.wait_for(process.communicate(SPEECH), 30)
    assert said.decode() == CAPTIONS


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("talk.srt", CAPTIONS),
        ("talk.vtt", "WEBVTT\n\n00:00:00.000 --> "),
        ("talk.jsonl", '{"text":"we walked'),
        ("talk.txt", f"{FIRST}\n{SECOND}\n"),
    ],
)
async def test_a_file_is_written_as_its_name_says(tmp_path: Path, name: str, begins: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    async with speaking() as service:
        ran = await run(*ask(service, "-", "-o", str(path)), data_dir=tmp_path, stdin=SPEECH)
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert path.read_bytes().decode().startswith(begins)


async def test_the_format_that_is_asked_for_counts_more_than_the_name(tmp_path: Path) -> None:
    async with speaking() as service:
        asked = ("-", "-o", str(tmp_path / "talk.txt"), "--format", "vtt", "--word-times")
        await run(*ask(service, *asked), data_dir=tmp_path, stdin=SPEECH)
    assert "we <00:00:00.200>walked" in (tmp_path / "talk.txt").read_text()


async def test_beside_a_file_a_terminal_shows_the_text(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    async with (
        speaking() as service,
        on_terminal(*ask(service, "-", "-o", str(path)), data_dir=tmp_path) as terminal,
    ):
        assert terminal.process.stdin
        terminal.process.stdin.write(SPEECH)
        terminal.process.stdin.close()
        assert await terminal.end() == 0
        assert await terminal.until(lambda rows: SECOND in rows) == [FIRST, SECOND]
    assert path.read_bytes().decode() == CAPTIONS


async def test_ctrl_c_finishes_the_session_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    async with (
        speaking() as service,
        on_terminal(*ask(service, "-", "-o", str(path)), data_dir=tmp_path) as terminal,
    ):
        assert terminal.process.stdin
        terminal.process.stdin.write(SPEECH)
        await terminal.until(lambda rows: bool(rows and rows[-1].startswith("●")))
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.end() == 130
    assert path.read_bytes().decode() == CAPTIONS
    assert service.said[-1] == {"action": "stop"}


async def test_a_session_that_breaks_leaves_what_was_heard(tmp_path: Path) -> None:
    async def talk(connection: ServerConnection) -> None:
        await service.hear(connection)
        await connection.send(LISTENING)
        while len(service.audio) < len(SPEECH):
            frame = await connection.recv()
            assert isinstance(frame, bytes)
            service.audio += frame
        await connection.send(final(FIRST, 0))
        await connection.send('{"error":"Enough.","code":"bad_message"}')

    service = FakeService(talk, Speaking().answers)
    async with running(service):
        asked = ask(service, "-", "-o", str(tmp_path / "talk.srt"))
        ran = await run(*asked, data_dir=tmp_path, stdin=SPEECH)
    assert (ran.code, ran.err.splitlines()[-1]) == (1, "error: Enough.")
    assert (tmp_path / "talk.srt").read_bytes().decode() == CAPTIONS.partition("2\r\n")[0]


async def test_an_output_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    async with speaking() as service:
        asked = ask(service, "-", "-o", str(tmp_path / "none" / "talk.srt"))
        ran = await run(*asked, data_dir=tmp_path, stdin=SPEECH)
    assert ran.code == 1
    assert ran.err.endswith("talk.srt cannot be written: No such file or directory.\n")
    assert service.calls == []


async def test_what_stood_in_a_file_stays_while_no_session_begins(tmp_path: Path) -> None:
    (tmp_path / "talk.srt").write_text("old")
    asked = ("transcribe", "-", "-o", str(tmp_path / "talk.srt"), "--url", "http://127.0.0.1:9", "--key", "k")
    ran = await run(*asked, data_dir=tmp_path, stdin=SPEECH)
    assert ran.code == 1
    assert (tmp_path / "talk.srt").read_text() == "old"


async def test_a_session_that_is_cut_goes_on_and_says_so(tmp_path: Path) -> None:
    async with speaking() as service:
        service.cuts_at = 96_000
        asked = ask(service, "-", "-o", str(tmp_path / "talk.srt"))
        ran = await run(*asked, data_dir=tmp_path, stdin=SPEECH)
    assert ran.code == 0, ran.err
    assert "The service was away for" in ran.err
    assert len(service.upgrades) == 2
    assert (tmp_path / "talk.srt").read_bytes().decode() == CAPTIONS


# --- URLs ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def web(status: str, body: bytes) -> AsyncIterator[str]:
    """Answer every request so; gives the URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/talk.wav"


async def test_a_url_is_fetched_and_decoded_here(tmp_path: Path) -> None:
    clip = Path(__file__).parents[1] / "clips" / "silence.flac"
    async with speaking() as service, web("200 OK", clip.read_bytes()) as url:
        ran = await run(*ask(service, url), data_dir=tmp_path)
    assert (ran.code, ran.out) == (0, f"{FIRST}\n{SECOND}\n"), ran.err
    assert len(service.audio) > 32_000


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        ("404 Not Found", b"", "cannot be read: Server returned 404 Not Found."),
        ("200 OK", b"<html>no audio at all</html>", "cannot be decoded: Invalid data found when processing input."),
        ("200 OK", b"#EXTM3U\n#EXTINF:9,\nfile:///etc/hosts\n", "cannot be decoded"),
    ],
)
async def test_a_url_without_audio_is_one_sentence_without_its_secrets(
    tmp_path: Path, status: str, body: bytes, sentence: str
) -> None:
    async with speaking() as service, web(status, body) as url:
        ran = await run(*ask(service, url.replace("//", "//user:secret@") + "?token=secret"), data_dir=tmp_path)
    assert ran.code == 1
    assert ran.err.startswith(f"error: {url} {sentence}")
    assert "secret" not in ran.err
    assert service.calls == []
