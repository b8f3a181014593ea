"""The command that streams a file or a pipe to the service and prints what comes back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from functools import partial
from typing import Annotated

import msgspec
import typer

from scribewire.cli.control import make_ready
from scribewire.cli.local import DataDir, Key, Url, client_of
from scribewire.cli.terminal import Transcript
from scribewire.client import Client, Final, Partial, Session
from scribewire.client.media import read_audio
from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ

# What a microphone's driver usually gives at a time.
_BLOCK_S = 0.1
_BLOCK_BYTES = round(_BLOCK_S * SAMPLE_RATE_HZ) * SAMPLE_BYTES


class Type(StrEnum):
    """Which of a language's two engines."""

    FAST = "fast"
    QUALITY = "quality"


class Pace(StrEnum):
    """How quickly audio is sent."""

    REALTIME = "realtime"
    FAST = "fast"


class Format(StrEnum):
    """What is printed."""

    TEXT = "text"
    JSONL = "jsonl"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(transcribe)


def transcribe(
    source: Annotated[
        str,
        typer.Argument(help="A file, or - for standard input: WAV, raw PCM (s16le, 16 kHz, mono) or, with PyAV, any."),
    ],
    *,
    language: Annotated[str | None, typer.Option(help="Language tag; unset, the service's default.")] = None,
    type_: Annotated[Type, typer.Option("--type", help="Quick and cheap, or better.")] = Type.FAST,
    numbers: Annotated[bool, typer.Option("--numbers", help="Digits instead of number words.")] = False,
    vocabulary: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="A word or phrase to expect, for engines that mind it; may be repeated."),
    ] = None,
    pace: Annotated[Pace, typer.Option(help="As it would be spoken, or as fast as the service takes it.")] = Pace.FAST,
    format_: Annotated[
        Format, typer.Option("--format", help="Finals as lines, or every partial and final as a line of JSON.")
    ] = Format.TEXT,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Transcribe a file or a pipe. Starts the service's workers first if the key may; Ctrl-C ends it with the rest."""
    client = client_of(url, key, data_dir)
    open_session = partial(
        client.session,
        language=language,
        type=type_.value,
        partial=_shows_partials(format_),
        actual_numbers=numbers,
        vocabulary=vocabulary or (),
    )
    asyncio.run(_transcribe(client, open_session, source, pace, format_))


async def _transcribe(
    client: Client,
    open_session: Callable[[], AbstractAsyncContextManager[Session]],
    source: str,
    pace: Pace,
    format_: Format,
) -> None:
    audio = read_audio(source)
    first = await anext(audio, b"")  # a file that cannot be read should not start a service
    async with client:
        await make_ready(client)
        async with open_session() as session:
            blocks = _from_first(first, audio)
            feeding = asyncio.create_task(_feed(session, in_real_time(blocks) if pace is Pace.REALTIME else blocks))
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, feeding.cancel)
            stopping = asyncio.create_task(_stop_after(feeding, session))
            try:
                with Transcript() as transcript:
                    await _show(session, transcript, format_)
                await stopping
            finally:
                feeding.cancel()
                stopping.cancel()
                await asyncio.gather(feeding, stopping, return_exceptions=True)


async def _stop_after(feeding: asyncio.Task[None], session: Session) -> None:
    """Stop the session once all audio is sent, or as much as there was before Ctrl-C."""
    await asyncio.wait({feeding})
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)  # a second Ctrl-C ends at once
    await session.stop()
    if not feeding.cancelled():
        feeding.result()


async def _feed(session: Session, blocks: AsyncIterator[bytes]) -> None:
    async for block in blocks:
        await session.send(block)


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


def _shows_partials(format_: Format) -> bool:
    return format_ is Format.JSONL or Transcript().is_live


async def _show(session: Session, transcript: Transcript, format_: Format) -> None:
    async for message in session:
        if format_ is Format.JSONL:
            if isinstance(message, Partial | Final):
                transcript.line(msgspec.json.encode(message).decode())
        elif isinstance(message, Final):
            transcript.final(message.text)
        elif isinstance(message, Partial):
            transcript.partial(message.text)
