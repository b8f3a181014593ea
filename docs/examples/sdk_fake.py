"""Test a program of your own: the fake service hears what `say` makes, and breaks where it is told to."""

from __future__ import annotations

from scribewire.client import Client, Final, Reconnected
from scribewire.client.fake import KEY, Close, Drop, FakeService, say, silence


async def captions(url: str, key: str, audio: bytes) -> list[str]:
    """Give the finals; stands for the program that is tested."""
    async with Client(url, key) as client:
        return [event.text async for event in client.transcribe(audio) if isinstance(event, Final)]


async def test_every_sentence_is_a_caption() -> None:
    async with FakeService().running() as service:
        audio = say("hello world") + silence(2000) + say("how are you")
        assert await captions(service.url, KEY, audio) == ["hello world", "how are you"]


async def test_a_caption_survives_a_dropped_connection_and_a_restart() -> None:
    async with FakeService(faults=[Drop(after_bytes=20_000), Close(1012, after_bytes=50_000)]).running() as service:
        assert await captions(service.url, KEY, say("hello world") + say("how are you")) == [
            "hello world",
            "how are you",
        ]
        assert len(service.starts) == 3


async def test_the_program_is_told_of_it() -> None:
    async with FakeService(faults=[Drop()]).running() as service, Client(service.url, KEY) as client:
        events = [event async for event in client.transcribe(say("hello"))]
    assert any(isinstance(event, Reconnected) for event in events)
