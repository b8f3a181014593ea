"""Real worker processes over a real socket: exact words, and what is lost when something dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scribewire.frames import (
    VERSION,
    Abort,
    Audio,
    Broken,
    Consumed,
    Draining,
    FinalResult,
    Finished,
    Flush,
    Flushed,
    Hello,
    Load,
    Opened,
    PartialResult,
    Refused,
    Settled,
)
from scribewire.settings import (
    EnginesSettings,
    GateSettings,
    LanguageSettings,
    ServerSettings,
    Settings,
    WorkerSettings,
)
from scribewire.tones import say, silence
from tests.worker.gateway import WAIT_S, Gateway, WorkerProcess, connect, connect_ready, scripted, start_worker

pytestmark = pytest.mark.e2e

Start = Callable[[Settings], WorkerProcess]
LANES = "words,gil=hold"
THREADS = "words,gil=release"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[WorkerProcess] = []

    def start_one(settings: Settings) -> WorkerProcess:
        started.append(start_worker(tmp_path, settings))
        return started[-1]

    yield start_one
    for worker in started:
        worker.close()


@pytest.fixture(scope="module", params=[LANES, THREADS])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """Give a worker for all who leave it as they found it."""
    worker = start_worker(tmp_path_factory.mktemp("worker"), scripted(request.param))
    yield worker
    worker.close()


@pytest.fixture
async def gateway(shared: WorkerProcess) -> AsyncIterator[Gateway]:
    gateway = await connect_ready(shared)
    yield gateway
    gateway.close()


def words(finals: list[FinalResult]) -> list[str]:
    return [word[0] for final in finals for word in final.words]


def family(pid: int) -> list[psutil.Process]:
    """Give a process and all that descend from it."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


async def wait_gone(processes: list[psutil.Process], wait_s: float) -> list[psutil.Process]:
    """Give those that live still after so long."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, wait_s)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


async def open_stream(gateway: Gateway, stream: int) -> None:
    gateway.open(stream)
    await gateway.wait(Opened, lambda frame: frame.stream == stream)


async def speak_on(gateway: Gateway, stream: int) -> None:
    while True:
        gateway.feed(stream, say("alfa"))
        await asyncio.sleep(0.05)


# --- decoding ---------------------------------------------------------------------------------------------------------


async def test_a_stream_gives_partials_exact_finals_and_an_end(gateway: Gateway) -> None:
    await open_stream(gateway, 1)
    gateway.feed(1, silence(500) + say("alfa bravo") + silence(800) + say("charlie"))
    gateway.finish(1)
    await gateway.wait(Finished)
    first, second = gateway.of(1, FinalResult)
    assert [(word[0], word[1], word[2]) for word in first.words] == [("alfa", 8000, 11_200), ("bravo", 14_400, 17_600)]
    assert [(word[0], word[1], word[2]) for word in second.words] == [("charlie", 33_600, 36_800)]
    assert gateway.of(1, PartialResult)
    assert gateway.of(1, Consumed)


async def test_streams_do_not_mix(gateway: Gateway) -> None:
    spoken = {1: "alfa bravo charlie", 2: "delta echo", 3: "foxtrot", 4: "golf hotel india juliett"}
    for stream in spoken:
        await open_stream(gateway, stream)
    for stream, text in spoken.items():
        gateway.feed(stream, say(text))
        gateway.finish(stream)
    for stream in spoken:
        await gateway.wait(Finished, lambda frame, stream=stream: frame.stream == stream)  # type: ignore[misc]
    assert {stream: " ".join(words(gateway.of(stream, FinalResult))) for stream in spoken} == spoken


async def test_a_flush_is_answered_while_the_stream_goes_on(gateway: Gateway) -> None:
    await open_stream(gateway, 1)
    gateway.feed(1, say("alfa"))
    gateway.say(Flush(1, 5))
    await gateway.wait(Flushed)
    assert words(gateway.of(1, FinalResult)) == ["alfa"]
    gateway.feed(1, say("bravo"))
    gateway.finish(1)
    await gateway.wait(Finished)
    assert words(gateway.of(1, FinalResult)) == ["alfa", "bravo"]


async def test_a_lane_serves_one_stream_after_the_other(gateway: Gateway) -> None:
    for stream in range(1, 7):
        await open_stream(gateway, stream)
        gateway.feed(stream, say("kilo lima"))
        if stream % 2:
            gateway.say(Abort(stream))
        else:
            gateway.finish(stream)
            await gateway.wait(Finished, lambda frame, stream=stream: frame.stream == stream)  # type: ignore[misc]
            assert words(gateway.of(stream, FinalResult)) == ["kilo", "lima"]
    assert not gateway.of(1, Finished)
    await gateway.wait(Load, lambda load: load.live == 0, since=len(gateway.heard))


async def test_a_stream_continues_on_another_worker_where_it_settled(start: Start, tmp_path: Path) -> None:
    gateway = await connect_ready(start(scripted(LANES)))
    pcm = say("alfa bravo") + silence(700) + say("charlie delta")
    await open_stream(gateway, 1)
    gateway.feed(1, pcm)
    final = await gateway.wait(FinalResult)
    gateway.close()
    (tmp_path / "other").mkdir()
    other = start_worker(tmp_path / "other", scripted(THREADS))
    gateway = await connect_ready(other)
    gateway.open(1, first_sample=final.sample, resume=final.resume)
    await gateway.wait(Opened)
    gateway.feed(1, pcm[2 * final.sample :])
    gateway.finish(1)
    await gateway.wait(Finished)
    assert words(gateway.of(1, FinalResult)) == ["charlie", "delta"]
    gateway.close()
    other.close()


# --- slots ------------------------------------------------------------------------------------------------------------


async def test_a_full_worker_refuses_and_takes_the_next_once_a_slot_is_free(start: Start) -> None:
    gateway = await connect_ready(start(scripted(LANES, worker=WorkerSettings(slots=1))))
    await open_stream(gateway, 1)
    gateway.open(2)
    refused = await gateway.wait(Refused)
    assert (refused.stream, refused.code) == (2, "at_capacity")
    gateway.say(Abort(1))
    await open_stream(gateway, 3)
    gateway.close()


async def test_what_is_not_configured_is_refused_by_its_code(gateway: Gateway) -> None:
    gateway.open(1, type_="quality")
    assert (await gateway.wait(Refused)).code == "unknown_type"


async def test_an_engine_may_be_loaded_when_it_is_first_asked_for(start: Start) -> None:
    languages = {
        "en": LanguageSettings(fast="scripted:words"),
        "de": LanguageSettings(fast="no-such-engine:x"),
        "fr": LanguageSettings(fast="scripted:bands"),
    }
    engines = EnginesSettings(languages=languages, load="first_use")
    gateway = await connect_ready(start(Settings(engines=engines, gate=GateSettings(detector="energy"))))
    gateway.open(1, language="fr")
    assert (await gateway.wait(Refused)).code == "at_capacity"  # for now: whoever waits for a slot asks again
    await gateway.wait(Load, since=len(gateway.heard))
    gateway.open(2, language="fr")
    await gateway.wait(Opened)
    gateway.feed(2, say("alfa"))
    gateway.finish(2)
    await gateway.wait(Finished)
    assert words(gateway.of(2, FinalResult)) == ["band0"]
    gateway.close()


async def test_a_gateway_that_hangs_up_frees_its_streams(start: Start) -> None:
    worker = start(scripted(LANES, worker=WorkerSettings(slots=1)))
    gone, staying = await connect_ready(worker), await connect_ready(worker)
    await open_stream(gone, 1)
    await staying.wait(Load, lambda load: load.live == 1)
    before = len(staying.heard)
    gone.close()
    await staying.wait(Load, lambda load: load.live == 0, since=before)
    await open_stream(staying, 1)
    staying.close()


async def test_a_worker_whose_default_engine_is_not_there_says_why_and_fails(start: Start) -> None:
    languages = {"en": LanguageSettings(fast="no-such-engine:x")}
    worker = start(Settings(engines=EnginesSettings(languages=languages)))
    gateway = await connect(worker)
    load = await gateway.wait(Load, lambda load: load.phase == "failed")
    assert "no-such-engine" in load.reason
    await gateway.wait_closed()
    assert await asyncio.to_thread(worker.process.wait, WAIT_S) == 1


# --- the link ---------------------------------------------------------------------------------------------------------


async def test_another_version_of_the_link_is_hung_up_on(start: Start) -> None:
    gateway = await connect(start(scripted(THREADS)), hello=Hello(VERSION + 1, "tests"))
    await gateway.wait_closed()
    assert gateway.heard == []


async def test_a_stream_that_is_sent_too_much_is_broken_and_its_link_lives(start: Start) -> None:
    gateway = await connect_ready(start(scripted("words,cost=1", worker=WorkerSettings(slots=2))))
    await open_stream(gateway, 1)
    for _ in range(45):
        gateway.say(Audio(1, say("alfa", word_ms=1000, gap_ms=0)))
    assert (await gateway.wait(Broken)).stream == 1
    await open_stream(gateway, 2)
    gateway.close()


# --- death ------------------------------------------------------------------------------------------------------------


def lanes_of(worker: WorkerProcess) -> dict[int, psutil.Process]:
    [nursery] = psutil.Process(worker.process.pid).children()
    return {lane.pid: lane for lane in nursery.children()}


async def test_a_killed_lane_breaks_its_stream_alone(start: Start) -> None:
    worker = start(scripted(LANES))
    gateway = await connect_ready(worker)
    await open_stream(gateway, 1)
    idle = lanes_of(worker)
    await open_stream(gateway, 2)
    for stream in (1, 2):
        gateway.feed(stream, say("alfa"))
        await gateway.wait(PartialResult, lambda frame, stream=stream: frame.stream == stream)  # type: ignore[misc]
    # The lane with the most CPU time of those that were there first is stream 1's; the spare has decoded nothing.
    busiest = max(idle.values(), key=lambda lane: sum(lane.cpu_times()[:2]))
    busiest.send_signal(signal.SIGKILL)
    for stream in (1, 2):
        gateway.feed(stream, say("bravo"))
        gateway.finish(stream)
    broken = await gateway.wait(Broken)
    other = 3 - broken.stream
    await gateway.wait(Finished, lambda frame: frame.stream == other)
    assert words(gateway.of(other, FinalResult)) == ["alfa", "bravo"]
    await open_stream(gateway, 3)
    gateway.feed(3, say("mike"))
    gateway.finish(3)
    await gateway.wait(Finished, lambda frame: frame.stream == 3)
    assert words(gateway.of(3, FinalResult)) == ["mike"]
    gateway.close()


async def test_an_idle_stream_is_told_at_once_that_its_lane_was_killed(start: Start) -> None:
    worker = start(scripted(LANES))
    gateway = await connect_ready(worker)
    await open_stream(gateway, 1)
    gateway.feed(1, say("alfa"))
    gateway.say(Flush(1, 1))
    await gateway.wait(Flushed)
    for lane in lanes_of(worker).values():
        lane.send_signal(signal.SIGKILL)
    assert (await gateway.wait(Broken)).stream == 1
    await gateway.wait(Load, lambda load: load.live == 0, since=len(gateway.heard))
    await open_stream(gateway, 2)
    gateway.close()


async def test_a_killed_nursery_is_started_again(start: Start) -> None:
    worker = start(scripted(LANES))
    gateway = await connect_ready(worker)
    await open_stream(gateway, 1)
    [nursery] = psutil.Process(worker.process.pid).children()
    nursery.send_signal(signal.SIGKILL)
    # A lane may hear some more before it dies with its nursery.
    speaking = asyncio.create_task(speak_on(gateway, 1))
    await gateway.wait(Broken)
    speaking.cancel()
    await open_stream(gateway, 2)
    gateway.feed(2, say("bravo"))
    gateway.finish(2)
    await gateway.wait(Finished)
    assert words(gateway.of(2, FinalResult)) == ["bravo"]
    gateway.close()


async def test_sigterm_drains(start: Start) -> None:
    worker = start(scripted(LANES))
    gateway = await connect_ready(worker)
    await open_stream(gateway, 1)
    gateway.feed(1, say("alfa"))
    worker.process.send_signal(signal.SIGINT)  # is for whoever started it
    worker.process.send_signal(signal.SIGTERM)
    await gateway.wait(Draining)
    gateway.open(2)
    assert (await gateway.wait(Refused)).code == "at_capacity"
    gateway.feed(1, say("bravo"))
    gateway.finish(1)
    await gateway.wait(Finished)
    assert words(gateway.of(1, FinalResult)) == ["alfa", "bravo"]
    await gateway.wait_closed()
    assert await asyncio.to_thread(worker.process.wait, WAIT_S) == 0


async def test_a_drain_ends_at_its_deadline(start: Start) -> None:
    worker = start(scripted(THREADS, server=ServerSettings(grace_s=0.2)))
    gateway = await connect_ready(worker)
    await open_stream(gateway, 1)
    worker.process.terminate()
    assert await asyncio.to_thread(worker.process.wait, WAIT_S) == 0
    gateway.close()


async def test_a_worker_run_by_hand_drains_on_ctrl_c(tmp_path: Path) -> None:
    worker = start_worker(tmp_path, scripted(THREADS), alone=True)
    gateway = await connect_ready(worker)
    worker.process.send_signal(signal.SIGINT)
    await gateway.wait(Draining)
    assert await asyncio.to_thread(worker.process.wait, WAIT_S) == 0
    gateway.close()
    worker.close()


def test_beyond_this_machine_no_worker_listens_without_a_secret(tmp_path: Path) -> None:
    worker = start_worker(tmp_path, scripted(THREADS), listen="tcp:0.0.0.0:0", alone=True, stderr=subprocess.PIPE)
    _, said = worker.process.communicate(timeout=WAIT_S)
    worker.close()
    assert (worker.process.returncode, b"set worker.secret" in said) == (1, True)


@pytest.mark.parametrize(
    ("listen", "settings"),
    [
        ("tcp:127.0.0.1:0", WorkerSettings(certificate="/no/such.pem", secret="known on both sides")),
        ("unix:/no/such/folder/w.sock", WorkerSettings()),
    ],
)
def test_a_worker_that_cannot_listen_says_why_in_one_sentence(
    tmp_path: Path, listen: str, settings: WorkerSettings
) -> None:
    chosen = scripted(THREADS, worker=settings)
    worker = start_worker(tmp_path, chosen, listen=listen, alone=True, stderr=subprocess.PIPE)
    _, said = worker.process.communicate(timeout=WAIT_S)
    worker.close()
    [sentence] = said.decode().splitlines()
    assert (worker.process.returncode, "/no/such" in sentence) == (1, True)


@pytest.mark.parametrize("dies_by", ["the lifeline", "SIGKILL"])
async def test_nothing_outlives_the_parent(start: Start, dies_by: str) -> None:
    worker = start(scripted("words,gil=hold,cost=0.5", worker=WorkerSettings(slots=2)))
    gateway = await connect_ready(worker)
    for stream in (1, 2):
        await open_stream(gateway, stream)
        gateway.feed(stream, say("alfa bravo charlie delta"))
    await gateway.wait(PartialResult)
    processes = family(worker.process.pid)
    assert len(processes) >= 4
    if dies_by == "SIGKILL":
        worker.process.kill()
    else:
        os.close(worker.lifeline)
        worker.lifeline = os.open(os.devnull, os.O_RDONLY)
    assert await wait_gone(processes, 2.0) == []
    gateway.close()


async def test_silence_is_settled_while_it_lasts(gateway: Gateway) -> None:
    await open_stream(gateway, 1)
    gateway.feed(1, silence(3900))
    settled = await gateway.wait(Settled, lambda frame: frame.sample > 2 * 16_000)
    assert len(settled.resume) <= 4096
    gateway.finish(1)
    await gateway.wait(Finished)
    assert not gateway.of(1, FinalResult)
