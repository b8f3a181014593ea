"""The local scaler with real, tiny children: it starts, stops, restarts and buries them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import psutil
import pytest

from scribewire.errors import InitializeFailed
from scribewire.scalers import local
from scribewire.scalers.base import Phase, Sighting
from scribewire.scalers.local import LocalScaler, make_run_dir, worker_command

pytestmark = pytest.mark.e2e

# A child that says where it is, and lives as long as its lifeline does.
OBEDIENT = """
import os, pathlib, sys
socket, lifeline = sys.argv[1], int(sys.argv[2])
pathlib.Path(socket + ".pid").write_text(str(os.getpid()))
os.read(lifeline, 1)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + OBEDIENT
# Takes its time, as one does whose sessions move.
DRAINING = (
    """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(0)))
"""
    + OBEDIENT
)
CRASHING = "import sys; sys.exit(7)"
DRAIN_S = 20.0


def running(source: str) -> Callable[[str, str, int], Sequence[str]]:
    def command(name: str, address: str, lifeline: int) -> Sequence[str]:
        return (sys.executable, "-S", "-c", source, address.removeprefix("unix:"), str(lifeline))

    return command


async def until(holds: Callable[[list[Sighting]], object], scaler: LocalScaler, *, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds(await scaler.observe()):
        assert time.monotonic() < deadline, await scaler.observe()
        await asyncio.sleep(0.01)


def pid_of(sighting: Sighting) -> int:
    """Wait for the child to say its process id."""
    assert sighting.address is not None
    told = Path(sighting.address.removeprefix("unix:") + ".pid")
    deadline = time.monotonic() + 10
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(told.read_text())


@pytest.fixture
async def scaler() -> AsyncIterator[LocalScaler]:
    made = LocalScaler(os.environ, drain_s=DRAIN_S, command=running(OBEDIENT))
    yield made
    await made.close()


async def test_scaling_up_runs_children_and_down_stops_the_victim(scaler: LocalScaler) -> None:
    await scaler.scale(2)
    sightings = await scaler.observe()
    assert [(seen.worker, seen.phase) for seen in sightings] == [("w1", Phase.RUNNING), ("w2", Phase.RUNNING)]
    first = pid_of(sightings[0])
    await scaler.scale(1, victims=["w1"])
    assert (await scaler.observe())[0].phase is Phase.STOPPING
    await until(lambda seen: [one.worker for one in seen] == ["w2"], scaler)
    assert not psutil.pid_exists(first)


async def test_scaling_to_the_count_that_is_there_changes_nothing(scaler: LocalScaler) -> None:
    await scaler.scale(1)
    before = pid_of((await scaler.observe())[0])
    await scaler.scale(1)
    assert [pid_of(seen) for seen in await scaler.observe()] == [before]


async def test_a_victim_beside_an_unchanged_count_is_replaced_under_another_name(scaler: LocalScaler) -> None:
    await scaler.scale(1)
    await scaler.scale(1, victims=["w1"])
    await until(lambda seen: [one.worker for one in seen] == ["w2"], scaler)


async def test_a_child_that_is_stopped_at_once_is_stopped(scaler: LocalScaler) -> None:
    await scaler.scale(1)
    await scaler.scale(0)
    await until(lambda seen: seen == [], scaler)


async def test_sockets_stand_in_a_private_folder_with_short_paths_that_closing_removes(scaler: LocalScaler) -> None:
    await scaler.scale(1)
    address = (await scaler.observe())[0].address
    assert address is not None
    folder = Path(address.removeprefix("unix:")).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(os.fsencode(address)) < 100
    await scaler.close()
    assert not folder.exists()


def test_a_long_folder_for_temporary_files_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    made = make_run_dir()
    made.rmdir()
    assert len(os.fsencode(made)) < 80
    assert not list(long.iterdir())


async def test_a_killed_child_is_seen_failed_with_the_signal_and_comes_back_under_its_name(
    scaler: LocalScaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "BACKOFF_FIRST_S", 0.2)
    await scaler.scale(1)
    os.kill(pid_of((await scaler.observe())[0]), signal.SIGKILL)
    await until(lambda seen: seen[0].phase is Phase.FAILED, scaler)
    (seen,) = await scaler.observe()
    assert (seen.worker, seen.reason, seen.failures) == ("w1", "killed by SIGKILL", 1)
    await until(lambda seen: seen[0].phase is Phase.RUNNING and not seen[0].reason, scaler)


async def test_a_child_that_keeps_crashing_is_restarted_later_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "BACKOFF_FIRST_S", 0.05)
    scaler = LocalScaler(os.environ, drain_s=DRAIN_S, command=running(CRASHING))
    await scaler.scale(1)
    began = time.monotonic()
    await until(lambda seen: seen[0].failures >= 4, scaler)
    assert time.monotonic() - began >= 0.05 + 0.1 + 0.2
    (seen,) = await scaler.observe()
    assert (seen.phase, seen.reason) == (Phase.FAILED, "exited with status 7")
    await scaler.close()


async def test_a_child_that_had_been_healthy_begins_its_failures_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "BACKOFF_FIRST_S", 0.02)
    monkeypatch.setattr(local, "HEALTHY_AFTER_S", 0.0)
    scaler = LocalScaler(os.environ, drain_s=DRAIN_S, command=running(CRASHING))
    await scaler.scale(1)
    for _ in range(3):
        await until(lambda seen: seen[0].phase is Phase.FAILED, scaler)
        assert (await scaler.observe())[0].failures == 1
        await until(lambda seen: seen[0].phase is Phase.RUNNING, scaler)
    await scaler.close()


async def test_a_child_that_backs_off_stops_at_once_when_asked() -> None:
    scaler = LocalScaler(os.environ, drain_s=DRAIN_S, command=running(CRASHING))
    await scaler.scale(1)
    await until(lambda seen: seen[0].phase is Phase.FAILED, scaler)
    await scaler.scale(0)
    await until(lambda seen: seen == [], scaler, within_s=0.4)
    await scaler.close()


async def test_closing_kills_what_will_not_stop_and_leaves_no_zombie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "STOP_WAIT_S", 0.1)
    scaler = LocalScaler(os.environ, drain_s=DRAIN_S, command=running(STUBBORN))
    await scaler.scale(2)
    pids = [pid_of(seen) for seen in await scaler.observe()]
    await scaler.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert await scaler.observe() == []


async def test_a_child_that_drains_is_not_killed_before_its_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "STOP_WAIT_S", 0.1)
    scaler = LocalScaler(os.environ, drain_s=DRAIN_S, command=running(DRAINING))
    await scaler.scale(1)
    pid_of((await scaler.observe())[0])
    await scaler.scale(0)
    await until(lambda seen: seen == [], scaler)
    assert "killed" not in caplog.text
    await scaler.close()


async def test_a_child_that_does_not_end_with_its_drain_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "STOP_WAIT_S", 0.1)
    scaler = LocalScaler(os.environ, drain_s=0.1, command=running(STUBBORN))
    await scaler.scale(1)
    pid = pid_of((await scaler.observe())[0])
    await scaler.scale(0)
    await until(lambda seen: seen == [], scaler, within_s=2.0)
    assert not psutil.pid_exists(pid)
    await scaler.close()


async def test_a_spawn_that_fails_is_told_without_paths() -> None:
    def nowhere(name: str, address: str, lifeline: int) -> Sequence[str]:
        return ("/nowhere/at/all",)

    scaler = LocalScaler(os.environ, drain_s=DRAIN_S, command=nowhere)
    with pytest.raises(InitializeFailed) as caught:
        await scaler.scale(1)
    assert caught.value.details == "a worker could not be spawned (No such file or directory)"
    assert await scaler.observe() == []
    await scaler.close()


async def test_no_child_holds_the_write_end_of_the_lifeline(scaler: LocalScaler) -> None:
    await scaler.scale(2)
    for seen in await scaler.observe():
        pid = pid_of(seen)
        if not Path(f"/proc/{pid}/fd").exists():
            pytest.skip("needs /proc")
        lifeline = psutil.Process(pid).cmdline()[-1]
        links = {fd.name: os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
        assert [name for name, link in links.items() if link == links[lifeline]] == [lifeline]


HOST = """
import asyncio, os, sys
from scribewire.scalers.local import LocalScaler

def command(name, address, lifeline):
    return (sys.executable, "-S", "-c", sys.argv[1], address.removeprefix("unix:"), str(lifeline))

async def main():
    scaler = LocalScaler(os.environ, drain_s=20.0, command=command)
    await scaler.scale(2)
    for seen in await scaler.observe():
        print(seen.address.removeprefix("unix:"), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_children_die_with_a_parent_that_is_killed() -> None:
    host = subprocess.Popen([sys.executable, "-c", HOST, OBEDIENT], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    with host.stdout:
        sockets = [host.stdout.readline().strip() for _ in range(2)]
    pids = [pid_of(Sighting("w", Phase.RUNNING, f"unix:{socket}")) for socket in sockets]
    host.kill()
    host.wait(10)
    deadline = time.monotonic() + 2.0
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    shutil.rmtree(Path(sockets[0]).parent)


def test_the_command_of_a_worker_names_what_it_needs() -> None:
    command = worker_command("w1", "unix:/run/w1.sock", 7)
    assert command[0] == sys.executable
    assert command[-6:] == ("--listen", "unix:/run/w1.sock", "--name", "w1", "--lifeline-fd", "7")
