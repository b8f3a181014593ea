"""The table of engines: short names, where their classes are, and which extra brings their libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from scribewire.engines.base import Device, Engine, Setup
from scribewire.errors import EngineMissing

ENTRY_POINTS: Final = "scribewire.engines"


@dataclass(frozen=True, slots=True)
class Row:
    """One engine. `target` is `module:Class`, the class taking a Setup; `libraries` are what it imports."""

    name: str
    target: str
    libraries: tuple[str, ...] = ()
    extra: str = ""


ROWS: Final = (
    Row("pocketsphinx", "scribewire.engines.pocketsphinx:PocketSphinxEngine", ("pocketsphinx",), "server"),
    Row("sherpa", "scribewire.engines.sherpa:SherpaEngine", ("sherpa_onnx",), "sherpa"),
    Row("vosk", "scribewire.engines.vosk:VoskEngine", ("vosk",), "vosk"),
    Row("whisper", "scribewire.engines.whisper:WhisperEngine", ("faster_whisper",), "whisper"),
    Row("scripted", "scribewire.engines.scripted:ScriptedEngine"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and the model it is to load, as the settings spell them: `<engine>:<model>`."""

    engine: str
    model: str

    def __str__(self) -> str:
        return f"{self.engine}:{self.model}"


def parse_choice(text: str) -> Choice:
    """Read `<engine>:<model>`; the model may hold colons itself, and may be left out where an engine needs none."""
    engine, _, model = text.partition(":")
    return Choice(engine.strip(), model.strip())


def find(name: str) -> Row:
    """Find an engine by its name, its own rows first, then entry points, without importing it.

    Raises EngineMissing, with the command that mends it, when it or a library of it is not installed.
    """
    row = next((row for row in ROWS if row.name == name), None) or _installed(name)
    if row is None:
        known = ", ".join(row.name for row in ROWS)
        raise EngineMissing(
            f"There is no engine {name!r}: the service brings {known}; others are packages of their own."
        )
    for library in row.libraries:
        if find_spec(library) is None:
            raise EngineMissing(f"The {name} engine needs {library}: pip install 'scribewire[{row.extra}]'.")
    return row


def create(choice: Choice | str, *, models_dir: Path = Path("models"), device: Device = "cpu") -> Engine:
    """Build the engine of a choice, not yet loaded.

    Raises EngineMissing when it, a library of it or the model's row in it is not there.
    """
    if isinstance(choice, str):
        choice = parse_choice(choice)
    module, _, name = find(choice.engine).target.partition(":")
    try:
        build: Callable[[Setup], Engine] = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise EngineMissing(f"The {choice.engine} engine cannot be imported from {module}:{name}.") from error
    return build(Setup(choice.model, models_dir, device))


def _installed(name: str) -> Row | None:
    # Engines of ours are found without it, and it is as much to import as all else here.
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=name):
        return Row(name, point.value)
    return None
