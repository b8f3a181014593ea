"""Take dictation in parts: push audio from one task, ask for what was said so far, and go on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from scribewire.client import Client, DurableSession, Final, Flushed


async def dictate(session: DurableSession, parts: Sequence[bytes]) -> None:
    for number, part in enumerate(parts, start=1):
        await session.send(part)
        await session.flush(number)
    await session.stop()


async def main(parts: Sequence[bytes]) -> list[str]:
    """Give the text of each part."""
    texts, words = [], []
    async with (
        Client(os.environ["SCRIBEWIRE_URL"], os.environ["SCRIBEWIRE_KEY"]) as client,
        client.durable_session(language="en", partial=False) as session,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(dictate(session, parts))
        async for event in session:
            if isinstance(event, Final):
                words.append(event.text)
            elif isinstance(event, Flushed):
                texts.append(" ".join(words))
                words.clear()
    return texts
