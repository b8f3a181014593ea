"""Audio to the service and results from it, to a screen, a pipe or a file: what `transcribe` and `mic` share."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scribewire.cli.control import make_ready
from scribewire.cli.formats import Format, format_of, results_of
from scribewire.cli.page import Page, opened
from scribewire.cli.progress import Progress
from scribewire.cli.terminal import Transcript
from scribewire.client import AudioLost, Client, DurableSession, Event, Final, Partial, Reconnected
from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ

# What a microphone's driver usually gives at a time.
_BLOCK_S = 0.1
_BLOCK_BYTES = round(_BLOCK_S * SAMPLE_RATE_HZ) * SAMPLE_BYTES
# Often enough to look alive, seldom enough to cost nothing.
_TICK_S = 0.1
# What a shell says of a command that Ctrl-C ended.
INTERRUPTED = 130


class Type(StrEnum):
    """Which of a language's two engines."""

    FAST = "fast"
    QUALITY = "quality"


LanguageOption = Annotated[str | None, typer.Option(help="Language tag; unset, the service's default.")]
TypeOption = Annotated[Type, typer.Option("--type", help="Quick and cheap, or better.")]
NumbersOption = Annotated[bool, typer.Option("--numbers", help="Digits instead of number words.")]
VocabularyOption = Annotated[
    list[str] | None,
    typer.Option(metavar="WORD", help="A word or phrase to expect, for engines that mind it; may be repeated."),
]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="Finals as lines, every partial and final as a line of JSON, or captions; unset, as OUTPUT is named.",
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the results there, each as soon as it is settled.")
]
WordTimesOption = Annotated[bool, typer.Option("--word-times", help="In WebVTT, say when each word is said.")]


@dataclass(frozen=True, slots=True)
class Source:
    """Audio, how long it is where that is known, and whether it is sent no quicker than it is spoken."""

    blocks: AsyncIterator[bytes]
    total_s: float | None = None
    in_real_time: bool = False
    # It goes on by itself, and cannot be made to wait.
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a session and of its results."""

    language: str | None
    type: Type
    numbers: bool
    vocabulary: list[str] | None
    format: Format | None
    output: Path | None
    word_times: bool


def stream(client: Client, source: Source, wish: Wish) -> None:
    """Transcribe all audio. Ctrl-C ends the audio: what was sent of it is still transcribed, and the exit code 130."""
    if asyncio.run(_stream(client, source, wish)):
        raise typer.Exit(INTERRUPTED)


async def _stream(client: Client, source: Source, wish: Wish) -> bool:
    """Transcribe, and say whether Ctrl-C ended it."""
    first = await anext(source.blocks, b"")  # a source that cannot be read should not start a service
    progress = Progress(source.total_s, is_paced=source.in_real_time)
    format_ = wish.format or format_of(wish.output)
    results = results_of(format_, language=wish.language, word_times=wish.word_times)
    transcript = Transcript(status=progress.line, live=bool(wish.output) or format_ is not Format.JSONL)
    with opened(wish.output) as file:
        async with client:
            await make_ready(client)
            async with client.durable_session(
                language=wish.language,
                type=wish.type.value,
                partial=results.wants_partials or transcript.is_live,
                actual_numbers=wish.numbers,
                vocabulary=wish.vocabulary or (),
            ) as session:
                progress.begin()
                with transcript, Page(results, transcript, file) as page:
                    blocks = _from_first(first, source.blocks)
                    paced = in_real_time(blocks) if source.in_real_time else blocks
                    feeding = asyncio.create_task(_feed(session, paced, progress, live=source.is_live))
                    return await _converse(session, feeding, progress, page)


async def _converse(session: DurableSession, feeding: asyncio.Task[None], progress: Progress, page: Page) -> bool:
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, feeding.cancel)
    stopping = asyncio.create_task(_stop_after(feeding, session))
    ticking = asyncio.create_task(_tick(page))
    try:
        async for event in session:
            _take(event, progress, page)
        await stopping
        return feeding.cancelled()
    finally:
        feeding.cancel()
        stopping.cancel()
        ticking.cancel()
        await asyncio.gather(feeding, stopping, ticking, return_exceptions=True)


def _take(event: Event, progress: Progress, page: Page) -> None:
    match event:
        case Partial() | Final():
            progress.hear(event.offset_ms)
            page.show(event)
        case Reconnected():
            page.note(f"The service was away for {event.gap_s:.1f} s.")
        case AudioLost(silent=False):
            page.note(
                f"Lost: {(event.end_ms - event.start_ms) / 1_000:.1f} s of audio from {event.start_ms / 1_000:.1f} s."
            )


async def _feed(session: DurableSession, blocks: AsyncIterator[bytes], progress: Progress, *, live: bool) -> None:
    async for block in blocks:
        await session.send(block, live=live)
        progress.send(block)


async def _tick(page: Page) -> None:
    while True:
        page.tick()
        await asyncio.sleep(_TICK_S)


async def _stop_after(feeding: asyncio.Task[None], session: DurableSession) -> None:
    """Stop the session once all audio is sent, or as much as there was before Ctrl-C."""
    await asyncio.wait({feeding})
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)  # a second Ctrl-C ends at once
    await session.stop()
    if not feeding.cancelled():
        feeding.result()


async def in_real_time(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give the audio again in blocks of a tenth of a second, each when it would have been spoken."""
    loop = asyncio.get_running_loop()
    began, sent_s = loop.time(), 0.0
    async for block in blocks:
        for at in range(0, len(block), _BLOCK_BYTES):
            piece = block[at : at + _BLOCK_BYTES]
            sent_s += len(piece) / SAMPLE_BYTES / SAMPLE_RATE_HZ
            await asyncio.sleep(began + sent_s - loop.time())
            yield piece


async def _from_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for block in rest:
        yield block
