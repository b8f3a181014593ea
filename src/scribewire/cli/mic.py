"""The command that transcribes what this machine's microphone hears."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from scribewire.cli.local import DataDir, Key, Url, client_of
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
from scribewire.cli.terminal import out, say
from scribewire.client.sources import Microphone, load_sounddevice


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(mic)


def mic(
    *,
    device: Annotated[
        str | None, typer.Option(help="An input device, by number or part of its name; unset, the system's default.")
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="List the input devices and end.")] = False,
    language: LanguageOption = None,
    type_: TypeOption = Type.FAST,
    numbers: NumbersOption = False,
    vocabulary: VocabularyOption = None,
    format_: FormatOption = None,
    output: OutputOption = None,
    word_times: WordTimesOption = False,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Transcribe the microphone until Ctrl-C. Needs the extra `mic`."""
    if list_devices:
        _list_devices()
        return
    client = client_of(url, key, data_dir)
    microphone = Microphone(int(device) if device and device.isdecimal() else device)
    wish = Wish(language, type_, numbers, vocabulary, format_, output, word_times)
    stream(client, Source(aiter(microphone), is_live=True), wish)


def _list_devices() -> None:
    sounddevice = load_sounddevice()
    default = sounddevice.default.device[0]
    inputs = [(n, row) for n, row in enumerate(sounddevice.query_devices()) if row["max_input_channels"]]
    if not inputs:
        say("No input devices.")
        return
    table = Table("number", "name", "", box=None, header_style="bold")
    for number, row in inputs:
        table.add_row(str(number), Text(row["name"]), "default" if number == default else "")
    out.print(table)
