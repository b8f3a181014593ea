"""The link against a scripted worker on a real socket."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from scribewire import frames
from scribewire.errors import LinkBroken
from scribewire.frames import Broken, Consumed, Draining, FinalResult, Finished, Flushed, Opened, Refused
from scribewire.gateway import link as link_module
from scribewire.gateway.link import RemoteStream, StreamRequest, WorkerLink, connect
from scribewire.scalers.local import make_run_dir
from tests.gateway.doubles import (
    NeverAnswersOpen,
    OpensAndDies,
    RefusesAlways,
    ScriptedWorker,
    SendsGarbage,
    SilentAfterWelcome,
    SpeaksAnotherVersion,
    eventually,
)

REQUEST = StreamRequest("s1", "en", "fast", 320, partial=True, actual_numbers=False, resume=b"then")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = make_run_dir()
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def linked(folder: Path) -> AsyncIterator[Callable[..., asyncio.Task[tuple[ScriptedWorker, WorkerLink]]]]:
    """Give a function that starts a worker of a kind and links to it."""
    made: list[tuple[ScriptedWorker, WorkerLink]] = []

    async def make(kind: type[ScriptedWorker], changed: Callable[[], None]) -> tuple[ScriptedWorker, WorkerLink]:
        worker = kind("w1", folder)
        await worker.start()
        link = await connect("w1", worker.address, gateway="tests", on_change=changed)
        made.append((worker, link))
        await eventually(lambda: link.load)
        return worker, link

    yield lambda kind=ScriptedWorker, changed=lambda: None: asyncio.create_task(make(kind, changed))
    for worker, link in made:
        link.close()
        await worker.stop()


Linked = Callable[..., asyncio.Task[tuple[ScriptedWorker, WorkerLink]]]


async def open_one(link: WorkerLink) -> tuple[RemoteStream, list[frames.Frame]]:
    heard: list[frames.Frame] = []
    stream = link.open(REQUEST, heard.append)
    assert isinstance(await stream.hand_over(), Opened)
    return stream, heard


async def test_the_worker_gets_the_request_and_the_link_knows_the_worker(linked: Linked) -> None:
    worker, link = await linked()
    stream, _ = await open_one(link)
    assert worker.heard[0] == frames.Hello(frames.VERSION, "tests")
    opened = next(frame for frame in worker.heard if isinstance(frame, frames.Open))
    assert (opened.session, opened.first_sample, opened.resume) == ("s1", 320, b"then")
    assert (stream.worker, link.pid, link.live, link.free) == ("w1", 1234, 1, 1)


async def test_audio_arrives_whole_and_in_order_whatever_its_size(linked: Linked) -> None:
    worker, link = await linked()
    stream, heard = await open_one(link)
    pieces = [bytes([number]) * size for number, size in enumerate((2, 3_200, 32_000, 32_002, 100_000))]
    for piece in pieces:
        stream.feed(piece)
    stream.finish()
    await eventually(lambda: heard and isinstance(heard[-1], Finished))
    audio = [frame.pcm for frame in worker.heard if isinstance(frame, frames.Audio)]
    assert b"".join(audio) == b"".join(pieces)
    assert max(map(len, audio)) <= frames.MAX_AUDIO_BYTES
    final = next(frame for frame in heard if isinstance(frame, FinalResult))
    assert final.sample == sum(map(len, pieces)) // 2


async def test_small_feeds_share_a_write_and_a_flush_takes_them_along_at_once(linked: Linked) -> None:
    worker, link = await linked()
    stream, heard = await open_one(link)
    for _ in range(10):
        stream.feed(bytes(320))
    assert not any(isinstance(frame, frames.Audio) for frame in worker.heard)
    stream.flush(7)
    await eventually(lambda: Flushed(stream.number, 7) in heard)
    assert Consumed(stream.number, 1_600) in heard[: heard.index(Flushed(stream.number, 7))]


async def test_fed_audio_leaves_without_being_pushed(linked: Linked) -> None:
    _, link = await linked()
    stream, heard = await open_one(link)
    stream.feed(bytes(320))
    await eventually(lambda: Consumed(stream.number, 160) in heard)


async def test_after_finished_nothing_is_heard_and_the_slot_is_free(linked: Linked) -> None:
    worker, link = await linked()
    stream, heard = await open_one(link)
    stream.finish()
    await eventually(lambda: heard and isinstance(heard[-1], Finished))
    assert link.live == 0
    count = len(heard)
    worker.say(frames.Settled(stream.number, 5, b""))
    stream.feed(bytes(320))
    stream.abort()
    link.close()
    await asyncio.sleep(0)
    assert len(heard) == count
    assert not any(isinstance(frame, frames.Abort) for frame in worker.heard)


async def test_an_aborted_stream_is_silent_and_its_late_words_harm_nobody(linked: Linked) -> None:
    worker, link = await linked()
    stream, heard = await open_one(link)
    other, other_heard = await open_one(link)
    stream.abort()
    stream.abort()
    worker.say(frames.PartialResult(stream.number, "late", 5, 0.5))
    other.flush(1)
    await eventually(lambda: Flushed(other.number, 1) in other_heard)
    assert heard == []
    assert sum(isinstance(frame, frames.Abort) for frame in worker.heard) == 1


async def test_a_death_breaks_every_live_stream_once(linked: Linked) -> None:
    worker, link = await linked()
    first, first_heard = await open_one(link)
    _, second_heard = await open_one(link)
    await worker.stop()
    await eventually(lambda: link.lost_reason)
    link.close()
    assert [type(frame) for frame in first_heard] == [Broken]
    assert [type(frame) for frame in second_heard] == [Broken]
    first.feed(bytes(2))
    first.abort()
    assert not link.ready
    assert link.free == 0


async def test_a_refusal_is_the_answer_and_holds_until_the_worker_says_how_it_is(linked: Linked) -> None:
    worker, link = await linked(RefusesAlways)
    answer = await link.open(REQUEST, lambda frame: None).hand_over()
    assert isinstance(answer, Refused)
    assert link.live == 0
    assert link.free == 0
    worker.say_load()
    await eventually(lambda: link.free == 2)


async def test_a_worker_that_grants_and_dies_in_one_breath_never_reaches_the_listener(linked: Linked) -> None:
    _, link = await linked(OpensAndDies)
    heard: list[frames.Frame] = []
    stream = link.open(REQUEST, heard.append)
    await link.wait_lost()
    assert isinstance(await stream.hand_over(), Broken)
    assert heard == []


async def test_an_opening_that_is_cancelled_gives_its_slot_back(linked: Linked) -> None:
    worker, link = await linked(NeverAnswersOpen)
    opening = asyncio.create_task(link.open(REQUEST, lambda frame: None).hand_over())
    await eventually(lambda: any(isinstance(frame, frames.Open) for frame in worker.heard))
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert link.live == 0
    await eventually(lambda: any(isinstance(frame, frames.Abort) for frame in worker.heard))


async def test_an_opening_that_is_never_answered_ends_in_time(linked: Linked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "OPEN_WAIT_S", 0.05)
    _, link = await linked(NeverAnswersOpen)
    assert isinstance(await link.open(REQUEST, lambda frame: None).hand_over(), Broken)
    assert link.live == 0


async def test_garbage_breaks_the_link(linked: Linked) -> None:
    _, link = await linked(SendsGarbage)
    assert isinstance(await link.open(REQUEST, lambda frame: None).hand_over(), Broken)
    assert link.lost_reason is not None
    assert "understood" in link.lost_reason


@pytest.mark.parametrize(
    "frame", [frames.Finish(1), frames.Hello(1, "worker"), frames.Load("asleep", 1, 0, 0.1, 0.0, 0.0)]
)
async def test_a_frame_out_of_turn_breaks_the_link(linked: Linked, frame: frames.Frame) -> None:
    worker, link = await linked()
    worker.say(frame)
    await eventually(lambda: link.lost_reason)


async def test_a_second_grant_of_a_live_stream_breaks_the_link(linked: Linked) -> None:
    worker, link = await linked()
    stream, heard = await open_one(link)
    worker.say(Opened(stream.number))
    await eventually(lambda: link.lost_reason)
    assert [type(frame) for frame in heard] == [Broken]


@pytest.mark.parametrize("by_load", [False, True])
async def test_a_draining_worker_tells_its_streams_once_and_takes_no_more(linked: Linked, by_load: bool) -> None:
    worker, link = await linked()
    _, heard = await open_one(link)
    worker.phase = "draining"
    if not by_load:
        worker.say(Draining("it is being replaced"))
    worker.say_load()
    await eventually(lambda: link.load and link.load.phase == "draining")
    assert [type(frame) for frame in heard] == [Draining]
    assert not link.ready
    assert link.free == 0


async def test_changes_are_told(linked: Linked) -> None:
    changes: list[int] = []
    _, link = await linked(ScriptedWorker, lambda: changes.append(1))
    stream, _ = await open_one(link)
    before = len(changes)
    stream.abort()
    assert len(changes) == before  # not from inside the call
    await eventually(lambda: len(changes) > before)


async def test_a_silent_worker_is_lost_as_soon_as_the_bound_has_passed(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert frames.LOST_AFTER_S < 2.0 - 2 * link_module._SHORTEST_WATCH_S  # the promise, and the time to notice
    monkeypatch.setattr(link_module, "LOST_AFTER_S", 0.35)
    monkeypatch.setattr(link_module, "BEAT_S", 0.1)
    worker, link = await linked(SilentAfterWelcome)
    _, heard = await open_one(link)
    began = time.monotonic()
    await asyncio.wait_for(link.wait_lost(), 3)
    assert 0.3 <= time.monotonic() - began < 0.6
    assert [type(frame) for frame in heard] == [Broken]
    assert sum(isinstance(frame, frames.Beat) for frame in worker.heard) >= 3


async def test_a_stall_of_our_own_is_not_held_against_the_worker(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "LOST_AFTER_S", 0.2)
    monkeypatch.setattr(link_module, "BEAT_S", 0.05)
    _, link = await linked()
    for _ in range(2):
        time.sleep(0.3)  # the stall itself: the worker lives in this loop, so it falls silent with it
        await asyncio.sleep(0.06)
        assert link.lost_reason is None
    await asyncio.sleep(0.1)
    assert link.lost_reason is None


async def test_a_worker_that_does_not_read_is_lost(linked: Linked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "BEAT_S", 0.02)
    monkeypatch.setattr(link_module, "_BACKLOG_BYTES_PER_SLOT", 1_000)
    worker, link = await linked()
    stream, _ = await open_one(link)
    worker.pause_reading()
    for _ in range(40):
        stream.feed(bytes(32_000))
    await eventually(lambda: link.lost_reason == "it stopped reading")


async def test_nobody_there_is_told_as_such(folder: Path) -> None:
    with pytest.raises(LinkBroken, match="could not be reached"):
        await connect("w1", f"unix:{folder}/none.sock", gateway="tests", on_change=lambda: None)


async def test_another_version_is_refused(folder: Path) -> None:
    worker = SpeaksAnotherVersion("w1", folder)
    await worker.start()
    with pytest.raises(LinkBroken, match="version 2 of the link, not 1"):
        await connect("w1", worker.address, gateway="tests", on_change=lambda: None)
    await worker.stop()


async def test_a_listener_that_never_greets_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "CONNECT_WAIT_S", 0.05)
    worker = ScriptedWorker("w1", folder)
    monkeypatch.setattr(worker, "take", lambda frame: None)
    monkeypatch.setattr(worker, "beat", lambda: None)
    await worker.start()
    with pytest.raises(LinkBroken, match="in time"):
        await connect("w1", worker.address, gateway="tests", on_change=lambda: None)
    await worker.stop()


async def test_the_secret_travels_over_tcp_only(folder: Path) -> None:
    worker = ScriptedWorker("w1", folder)
    await worker.start()
    link = await connect("w1", worker.address, gateway="tests", secret="shared", on_change=lambda: None)
    assert worker.heard[0] == frames.Hello(frames.VERSION, "tests")
    link.close()
    await worker.stop()
    over_tcp = ScriptedWorker("w1", folder)
    await over_tcp.start_tcp()
    link = await connect("w1", over_tcp.address, gateway="tests", secret="shared", on_change=lambda: None)
    assert over_tcp.heard[0] == frames.Hello(frames.VERSION, "tests", "shared")
    link.close()
    await over_tcp.stop()
