"""Sockets: one conversation over one session or several, from the upgrade to the close."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scribewire import frames
from scribewire.core.keys import Scope
from scribewire.dialects.table import PATHS
from scribewire.gateway import sockets
from scribewire.gateway.tickets import Terms
from scribewire.gateway.upgrade import Upgrade
from scribewire.settings import AutoscalingSettings, LimitSettings, SessionSettings
from tests.gateway.conftest import Rigger
from tests.gateway.doubles import ScriptedWorker, eventually
from tests.gateway.encoding import Int16, wav
from tests.gateway.rig import Rig

PCM = "encoding=linear16&sample_rate=16000"
STEREO = f"{PCM}&channels=2&multichannel=true"
SECOND = 16_000
LANGUAGES = {"en": {"fast": "scripted", "quality": "scripted"}}


class Client:
    """A client's side of a socket, without a port: it records what it is sent, and may stop reading."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self._to_say: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @property
    def unread(self) -> int:
        """Count what it said and the service has not read."""
        return self._to_say.qsize()

    def say(self, frame: bytes | dict[str, Any]) -> None:
        """Send audio or a message."""
        content = {"bytes": frame} if isinstance(frame, bytes) else {"text": json.dumps(frame)}
        self._to_say.put_nowait({"type": "websocket.receive", **content})

    def leave(self) -> None:
        """Break off."""
        self._to_say.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """Give the messages of a type."""
        return [message for message in self.said if message["type"] == kind]

    async def closed(self) -> int:
        """Wait until it is closed; give the code."""
        await eventually(lambda: self.close_code is not None)
        assert self.close_code is not None
        return self.close_code

    async def receive(self) -> Any:
        return await self._to_say.get()

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        assert self.close_code is None, "something followed the close"
        if message["type"] == "websocket.send":
            self.said.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            self.close_code = message["code"]


class Host:
    """A gateway that takes upgrades."""

    def __init__(self, rig: Rig, stack: AsyncExitStack) -> None:
        self.rig = rig
        self.services = replace(rig.services, languages=LANGUAGES)
        self._stack = stack

    @property
    def worker(self) -> ScriptedWorker:
        [worker] = self.rig.scaler.workers.values()
        return worker

    def open(self, path: str, query: str = "", *, key: str | None = None) -> Client:
        """Take the upgrade of a client."""
        [row] = [row for row in PATHS if row.path == path]
        client = Client()
        client._to_say.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "headers": [(b"x-api-key", (key or self.rig.secrets["client"]).encode())],
            "query_string": query.encode(),
            "client": ("192.0.2.1", 1),
        }
        task = asyncio.create_task(Upgrade(self.services, row)(scope, client.receive, client.send))
        self._stack.push_async_callback(self._end, client, task)
        return client

    async def _end(self, client: Client, task: asyncio.Task[None]) -> None:
        client.reads.set()
        client.leave()
        await task

    async def gone(self) -> None:
        """Wait until nothing is left of any session."""
        await eventually(lambda: not self.services.sessions.live and not self.worker.fed_samples)

    def fed(self) -> list[bytes]:
        """Give the audio of each stream, in the order in which they were opened."""
        fed: dict[int, bytes] = {frame.stream: b"" for frame in self.worker.heard if isinstance(frame, frames.Open)}
        for frame in self.worker.heard:
            if isinstance(frame, frames.Audio):
                fed[frame.stream] += frame.pcm
        return list(fed.values())


Hoster = Callable[..., Awaitable[Host]]


@pytest.fixture
async def hoster(rigger: Rigger) -> AsyncIterator[Hoster]:
    """Give what makes a host, ready."""
    async with AsyncExitStack() as stack:

        async def build(make: type[ScriptedWorker] = ScriptedWorker, *, slots: int = 2, **settings: Any) -> Host:
            rig = await rigger((make,), autoscaling=AutoscalingSettings(max_workers=1), **settings)
            rig.scaler.slots = slots
            await rig.services.fleet.initialize()
            return Host(rig, stack)

        yield build


def stereo(seconds: float = 1.0, *, left: int = 1, right: int = 2) -> Int16:
    """Give two channels, each of one value."""
    return np.full((round(seconds * SECOND), 2), (left, right), np.int16)


def values(pcm: bytes) -> set[int]:
    return set(np.frombuffer(pcm, "<i2").tolist())


# --- one session -----------------------------------------------------------------------------------------------------


async def test_a_format_that_changes_on_the_way_loses_nothing_of_the_one_before(hoster: Hoster) -> None:
    host = await hoster()
    client = host.open("/v1/realtime")

    def configure(**form: object) -> None:
        session = {"type": "transcription", "audio": {"input": {"format": form}}}
        client.say({"type": "session.update", "session": session})

    def append(audio: bytes) -> None:
        client.say({"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()})

    configure(type="audio/pcmu")
    append(bytes(8_000))
    configure(type="audio/pcm", rate=24_000)
    append(bytes(48_000))
    client.say({"type": "input_audio_buffer.commit"})
    await eventually(lambda: any(isinstance(frame, frames.Flush) for frame in host.worker.heard))
    assert list(host.worker.fed_samples.values()) == [2 * SECOND]


async def test_channels_are_mixed_unless_they_are_to_be_apart(hoster: Hoster) -> None:
    host = await hoster()
    client = host.open("/v1/listen", f"{PCM}&channels=2")
    client.say(stereo(left=10, right=30).tobytes())
    client.say({"type": "CloseStream"})
    assert await client.closed() == 1000
    assert [values(fed) for fed in host.fed()] == [{20}]
    assert [result["channel_index"] for result in client.heard("Results")] == [[0, 1]]
    assert client.said[-1]["channels"] == 1


# --- a session for each channel --------------------------------------------------------------------------------------


async def test_each_channel_is_a_session_and_all_are_one_conversation(hoster: Hoster) -> None:
    host = await hoster()
    client = host.open("/v1/listen", STEREO)
    await eventually(lambda: host.worker.live == 2)
    assert host.services.sessions.live == 2
    for _ in range(3):
        client.say(stereo().tobytes())
    client.say({"type": "CloseStream"})
    assert await client.closed() == 1000
    assert [values(fed) for fed in host.fed()] == [{1}, {2}]
    results = sorted(client.heard("Results"), key=lambda result: result["channel_index"])
    assert [result["channel_index"] for result in results] == [[0, 2], [1, 2]]
    assert {result["channel"]["alternatives"][0]["transcript"] for result in results} == {str(3 * SECOND)}
    [metadata] = client.heard("Metadata")
    assert client.said[-1] == metadata
    assert (metadata["channels"], metadata["duration"]) == (2, 3.0)
    await host.gone()
    await host.services.sessions.stop()
    reports = await host.services.store.list_reports(limit=10)
    assert {report.session_id for report in reports} == {metadata["request_id"], metadata["request_id"] + "-1"}
    assert {report.report.received_samples for report in reports} == {3 * SECOND}


async def test_the_header_of_a_container_says_how_many_channels_there_are(hoster: Hoster) -> None:
    host = await hoster()
    client = host.open("/v1/listen", "multichannel=true&vad_events=true")
    await eventually(lambda: host.worker.live == 1)
    client.say({"type": "Finalize"})
    await eventually(lambda: client.said)
    audio = wav(stereo(2).tobytes(), rate_hz=16_000, channels=2)
    for at in range(0, len(audio), 10_001):
        client.say(audio[at : at + 10_001])
    client.say({"type": "CloseStream"})
    assert await client.closed() == 1000
    assert [values(fed) for fed in host.fed()] == [{1}, {2}]
    assert client.heard("Results")[0]["channel_index"] == [0, 1]
    assert sorted(result["channel_index"] for result in client.heard("Results"))[1:] == [[0, 2], [1, 2]]
    assert sorted(event["channel"] for event in client.heard("SpeechStarted")) == [[0, 2], [1, 2]]
    assert client.said[-1]["channels"] == 2


async def test_a_message_is_heard_by_all_channels_and_a_mistake_is_told_once(hoster: Hoster) -> None:
    host = await hoster()
    client = host.open("/v1/listen", STEREO)
    client.say(stereo().tobytes())
    client.say({"type": "Finalize"})
    client.say({"type": "Sing"})
    await eventually(lambda: len(client.heard("Results")) == 2 and client.heard("Error"))
    assert all(result["from_finalize"] for result in client.heard("Results"))
    assert sorted(result["channel_index"] for result in client.heard("Results")) == [[0, 2], [1, 2]]
    client.say({"type": "CloseStream"})
    assert await client.closed() == 1000
    assert len(client.heard("Error")) == 1


async def assert_refused(host: Host, client: Client, code: str) -> None:
    """Be told once why, closed, and leave nothing behind."""
    assert await client.closed() == 1013
    assert [message["code"] for message in client.said] == [code]
    await host.gone()
    one = host.open("/v1/listen", PCM)
    one.say({"type": "CloseStream"})
    assert await one.closed() == 1000


async def test_a_key_with_room_for_fewer_sessions_than_channels_has_none(hoster: Hoster) -> None:
    host = await hoster()
    _, secret = await host.services.store.create_key("one", scopes=frozenset({Scope.REALTIME}), max_sessions=1)
    await assert_refused(host, host.open("/v1/listen", STEREO, key=secret.reveal()), "session_limit")


async def test_who_hears_the_end_of_its_only_session_may_begin_another_at_once(hoster: Hoster) -> None:
    host = await hoster()
    _, secret = await host.services.store.create_key("one", scopes=frozenset({Scope.REALTIME}), max_sessions=1)
    first = host.open("/v1/listen", PCM, key=secret.reveal())
    first.say(bytes(3_200))
    await eventually(lambda: host.services.sessions.of_key(None) != [])
    first.reads.clear()  # its end is on the way
    first.say({"type": "CloseStream"})
    await eventually(lambda: first.unread == 0)
    second = host.open("/v1/listen", PCM, key=secret.reveal())
    second.say({"type": "CloseStream"})
    assert await second.closed() == 1000
    first.reads.set()
    assert await first.closed() == 1000


async def test_a_ticket_lets_all_channels_in_once(hoster: Hoster) -> None:
    host = await hoster()
    key, _ = await host.services.store.create_key("page", scopes=frozenset({Scope.REALTIME}))
    ticket, _ = await host.services.tickets.issue(key.id, Terms(max_s=60.0))
    clients = [host.open("/v1/listen", STEREO, key=ticket.reveal()) for _ in range(2)]
    for client in clients:
        client.say(stereo().tobytes())
        client.say({"type": "CloseStream"})
    assert sorted([await client.closed() for client in clients]) == [1000, 1008]
    [taken] = [client for client in clients if client.close_code == 1000]
    assert sorted(result["channel_index"] for result in taken.heard("Results")) == [[0, 2], [1, 2]]
    await host.gone()


async def test_a_gateway_with_room_for_fewer_sessions_than_channels_takes_none(hoster: Hoster) -> None:
    host = await hoster(limits=LimitSettings(sessions=1))
    await assert_refused(host, host.open("/v1/listen", STEREO), "at_capacity")


async def test_channels_that_a_header_adds_are_refused_with_the_first(hoster: Hoster) -> None:
    host = await hoster(limits=LimitSettings(sessions=2), slots=8)
    client = host.open("/v1/listen", "multichannel=true")
    await eventually(lambda: host.worker.live == 1)
    client.say(wav(bytes(6 * SECOND), rate_hz=16_000, channels=3))
    await assert_refused(host, client, "at_capacity")


async def test_fewer_free_slots_than_channels_free_those_that_were_taken(hoster: Hoster) -> None:
    host = await hoster(slots=1, session=SessionSettings(slot_wait_s=0.2))
    await assert_refused(host, host.open("/v1/listen", STEREO), "at_capacity")


async def test_channels_that_are_no_audio_fail_together(hoster: Hoster) -> None:
    host = await hoster()
    client = host.open("/v1/listen", "multichannel=true&encoding=opus&channels=2")
    await eventually(lambda: host.worker.live == 2)
    client.say(b"\xff" * 12)
    assert await client.closed() == 1008
    assert [message["code"] for message in client.said] == ["unsupported_audio"]
    await host.gone()
    await host.services.sessions.stop()
    reports = await host.services.store.list_reports(limit=10)
    assert [report.report.error_code for report in reports] == ["unsupported_audio"] * 2


async def test_a_client_that_breaks_off_leaves_no_channel_behind(hoster: Hoster) -> None:
    host = await hoster()
    client = host.open("/v1/listen", STEREO)
    client.say(stereo().tobytes())
    await eventually(lambda: all(host.fed()) and host.worker.live == 2)
    client.leave()
    await host.gone()


# --- pace ------------------------------------------------------------------------------------------------------------


class ConsumesWhenLet(ScriptedWorker):
    """Decodes nothing of a stream until it is let."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lets: set[int] = set()

    def take(self, frame: frames.Frame) -> None:
        if isinstance(frame, frames.Audio) and frame.stream not in self._lets and frame.stream in self.fed_samples:
            self.fed_samples[frame.stream] += len(frame.pcm) // 2
        else:
            super().take(frame)

    def let(self, stream: int) -> None:
        """Decode what there is of a stream, and all that follows."""
        self._lets.add(stream)
        self.say(frames.Consumed(stream, self.fed_samples[stream]))


async def read_no_further(client: Client) -> int:
    """Give how much of what a client said is not read once nothing is read any more."""
    before = -1
    while client.unread != before:
        before = client.unread
        await asyncio.sleep(0.3)
    return client.unread


async def test_a_client_is_read_at_the_pace_of_its_slowest_channel(hoster: Hoster) -> None:
    host = await hoster(ConsumesWhenLet)
    worker = host.worker
    assert isinstance(worker, ConsumesWhenLet)
    client = host.open("/v1/listen", STEREO)
    await eventually(lambda: worker.live == 2)
    for _ in range(60):
        client.say(stereo().tobytes())
    assert await read_no_further(client) > 30
    first, second = worker.fed_samples
    worker.let(first)
    assert await read_no_further(client) > 30
    worker.let(second)
    client.say({"type": "CloseStream"})
    assert await client.closed() == 1000
    assert [len(fed) // 2 for fed in host.fed()] == [60 * SECOND] * 2


class SaysPartials(ScriptedWorker):
    """Says a partial for all that it is fed."""

    def take(self, frame: frames.Frame) -> None:
        super().take(frame)
        if isinstance(frame, frames.Audio):
            samples = self.fed_samples[frame.stream]
            self.say(frames.PartialResult(frame.stream, f"{samples}", samples, 0.5))


async def test_of_the_partials_that_wait_for_a_client_each_channel_keeps_its_newest(
    hoster: Hoster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_OUTBOX", 10)
    host = await hoster(SaysPartials)
    client = host.open("/v1/listen", f"{STEREO}&interim_results=true")
    await eventually(lambda: host.worker.live == 2)
    client.reads.clear()
    for _ in range(60):
        client.say(stereo().tobytes())
    await eventually(lambda: [len(fed) // 2 for fed in host.fed()] == [60 * SECOND] * 2)
    client.say({"type": "CloseStream"})
    await eventually(lambda: host.worker.live == 0)
    client.reads.set()
    assert await client.closed() == 1000
    interim = [result for result in client.heard("Results") if not result["is_final"]]
    assert len(interim) <= 4  # one that was being written, and the newest of each
    assert {result["channel_index"][0] for result in interim} == {0, 1}
