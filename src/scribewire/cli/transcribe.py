"""The command that transcribes a file, a pipe or a URL."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from scribewire.cli.local import DataDir, Key, Url, client_of
from scribewire.cli.sources import RemoteMedia, is_url, length_s
from scribewire.cli.streaming import (
    FormatOption,
    LanguageOption,
    NumbersOption,
    OutputOption,
    Source,
    Type,
    TypeOption,
    VocabularyOption,
    Wish,
    WordTimesOption,
    stream,
)
from scribewire.client.media import STDIN, read_audio


class Pace(StrEnum):
    """How quickly audio is sent."""

    REALTIME = "realtime"
    FAST = "fast"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(transcribe)


def transcribe(
    source: Annotated[
        str,
        typer.Argument(
            help="A file, an http(s) URL, or - for standard input: WAV, raw PCM (s16le, 16 kHz, mono) or, with PyAV, "
            "any."
        ),
    ],
    *,
    language: LanguageOption = None,
    type_: TypeOption = Type.FAST,
    numbers: NumbersOption = False,
    vocabulary: VocabularyOption = None,
    pace: Annotated[Pace, typer.Option(help="As it would be spoken, or as fast as the service takes it.")] = Pace.FAST,
    format_: FormatOption = None,
    output: OutputOption = None,
    word_times: WordTimesOption = False,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Transcribe a file, a pipe or a URL. Starts the service's workers first if the key may.

    Ctrl-C ends the audio: what was sent of it is still transcribed.
    """
    client = client_of(url, key, data_dir)
    wish = Wish(language, type_, numbers, vocabulary, format_, output, word_times)
    stream(client, _open(source, pace), wish)


def _open(source: str, pace: Pace) -> Source:
    in_real_time = pace is Pace.REALTIME
    if is_url(source):
        media = RemoteMedia(source)
        return Source(aiter(media), media.total_s, in_real_time=in_real_time)
    return Source(read_audio(source), None if source == STDIN else length_s(source), in_real_time=in_real_time)
