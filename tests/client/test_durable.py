"""The durable session over real sockets, against the fake service and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from scribewire.client import Bounds, Client, Event, Final, Flushed, Reconnected
from scribewire.client.fake import KEY, Close, Drop, FakeService, Fault, Refuse, say, silence
from scribewire.errors import AtCapacity, NotAuthenticated, UnknownLanguage, UnsupportedAudio

pytestmark = pytest.mark.e2e

SPEECH = say("hello world") + say("how are you") + say("fine thanks")


async def heard(faults: Iterable[Fault] = (), *, partial: bool = False) -> list[Event]:
    async with FakeService(faults=faults).running() as service, Client(service.url, KEY) as client:
        return [event async for event in client.transcribe(SPEECH, partial=partial)]


def finals(events: Iterable[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


async def test_a_source_is_transcribed_to_its_end() -> None:
    assert [final.text for final in finals(await heard())] == ["hello world", "how are you", "fine thanks"]


@pytest.mark.parametrize(
    "faults",
    [
        [Drop(after_bytes=len(SPEECH) // 2)],
        [Drop(after_bytes=1), Drop(), Close(1001), Close(1012, after_bytes=40_000)],
        [Close(1013, after_bytes=60_000), Refuse(AtCapacity(retry_after_s=0)), Close(1001, after_bytes=100_000)],
    ],
)
async def test_faults_change_no_word_and_no_time(faults: list[Fault]) -> None:
    events = await heard(faults)
    assert finals(events) == finals(await heard())
    assert sum(isinstance(event, Reconnected) for event in events) >= 1


async def test_a_refused_key_is_raised() -> None:
    async with FakeService().running() as service, Client(service.url, "another") as client:
        with pytest.raises(NotAuthenticated):
            _ = [event async for event in client.transcribe(SPEECH)]


async def test_what_would_be_refused_again_is_raised_in_mid_session() -> None:
    faults: list[Fault] = [Drop(after_bytes=1), Refuse(UnknownLanguage())]
    with pytest.raises(UnknownLanguage):
        await heard(faults)


async def test_a_session_takes_audio_flush_and_stop_from_another_task() -> None:
    async with (
        FakeService(faults=[Drop(after_bytes=10_000)]).running() as service,
        Client(service.url, KEY) as client,
        client.durable_session(partial=False) as session,
    ):
        await session.send(say("hello")[:9600])
        await session.flush("m")
        await session.stop()
        assert [type(event) for event in [event async for event in session]][-2:] == [Final, Flushed]
    assert service.starts[0] == {"action": "start", "partial": False, "actual_numbers": False}


async def test_a_fast_source_waits_for_the_service_and_loses_nothing() -> None:
    blocks = [silence(1000)] * 40 + [SPEECH]
    asked_while_refused: list[int] = []

    async def source() -> AsyncIterator[bytes]:
        for number, block in enumerate(blocks):
            if not service.audio:
                asked_while_refused.append(number)
            yield block

    faults = [Refuse(AtCapacity(retry_after_s=0))]
    async with FakeService(faults=faults).running() as service, Client(service.url, KEY) as client:
        events = [event async for event in client.transcribe(source(), bounds=Bounds(kept_s=15))]
    assert [final.text for final in finals(events)] == ["hello world", "how are you", "fine thanks"]
    assert max(asked_while_refused) < 15


async def test_an_error_of_the_source_is_raised() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield SPEECH
        raise ZeroDivisionError

    async with FakeService().running() as service, Client(service.url, KEY) as client:
        with pytest.raises(ZeroDivisionError):
            _ = [event async for event in client.transcribe(source())]
        with pytest.raises(UnsupportedAudio):
            _ = [event async for event in client.transcribe([b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0\0\0\0\0"])]


async def test_leaving_in_the_middle_leaves_nothing_running() -> None:
    async with FakeService().running() as service, Client(service.url, KEY) as client:
        events = client.transcribe(SPEECH)
        async for event in events:
            if isinstance(event, Final):
                break
        await events.aclose()
        ours = [task for task in asyncio.all_tasks() if "DurableSession" in repr(task) or "_feed" in repr(task)]
        assert ours == []
