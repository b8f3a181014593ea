"""The blocking client: the same events, without a loop in sight."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from scribewire.client import BlockingClient, Final, Reconnected
from scribewire.client.fake import KEY, Drop, FakeService, say, silence
from scribewire.errors import NotAuthenticated

pytestmark = pytest.mark.integration

SPEECH = say("hello world") + say("how are you")


@pytest.fixture
def service() -> Iterator[FakeService]:
    """Give a fake service that runs in a thread, and drops the first session in the middle."""
    service = FakeService(faults=[Drop(after_bytes=len(SPEECH) // 2)])
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with service.running():
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield service
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()


def test_a_plain_iterator_is_transcribed_across_a_loss(service: FakeService) -> None:
    with BlockingClient(service.url, KEY) as client:
        seen: list[str] = []
        assert client.initialize(on_status=lambda status: seen.append(status.status)).ready
        assert client.status().ready
        pieces = (SPEECH[at : at + 3200] for at in range(0, len(SPEECH), 3200))
        events = list(client.transcribe(pieces, language="en"))
    assert seen[-1] == "ready"
    assert [event.text for event in events if isinstance(event, Final)] == ["hello world", "how are you"]
    assert any(isinstance(event, Reconnected) for event in events)


def test_errors_are_those_of_the_service(service: FakeService) -> None:
    with BlockingClient(service.url, "another") as client, pytest.raises(NotAuthenticated):
        next(client.transcribe(SPEECH))


def test_ctrl_c_is_a_ctrl_c(service: FakeService, caplog: pytest.LogCaptureFixture) -> None:
    asked, hanging = threading.Event(), threading.Event()

    def endless() -> Iterator[bytes]:
        yield silence(100)
        asked.set()
        hanging.wait(20)

    def interrupt() -> None:
        asked.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    try:
        with BlockingClient(service.url, KEY) as client, pytest.raises(KeyboardInterrupt):
            list(client.transcribe(endless()))
    finally:
        hanging.set()
    assert caplog.records == []


def test_leaving_in_the_middle_ends_the_thread(service: FakeService) -> None:
    before = threading.active_count()
    client = BlockingClient(service.url, KEY)
    for event in client.transcribe(SPEECH):
        if isinstance(event, Final):
            break
    client.close()
    client.close()
    assert threading.active_count() == before
