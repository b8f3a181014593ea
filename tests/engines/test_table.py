"""Engines are found by name, without importing them, and a missing one is named with what mends it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from scribewire.engines import table
from scribewire.engines.scripted import ScriptedEngine
from scribewire.errors import EngineMissing


@pytest.mark.parametrize(
    ("text", "engine", "model"),
    [
        ("pocketsphinx:fast", "pocketsphinx", "fast"),
        ("scripted", "scripted", ""),
        ("sherpa:zipformer:int8", "sherpa", "zipformer:int8"),
    ],
)
def test_a_choice_is_an_engine_and_a_model(text: str, engine: str, model: str) -> None:
    choice = table.parse_choice(text)

    assert choice == table.Choice(engine, model)
    assert str(choice) == text.ljust(len(engine) + 1, ":")


def test_every_row_names_a_class_of_its_own() -> None:
    assert len({row.name for row in table.ROWS}) == len({row.target for row in table.ROWS}) == len(table.ROWS)
    assert all(row.target.count(":") == 1 for row in table.ROWS)


def test_an_engine_is_built_with_its_model() -> None:
    assert isinstance(table.create("scripted:null"), ScriptedEngine)


def test_an_unknown_engine_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        EngineMissing, match=f"no engine 'sphinx': the service brings {', '.join(row.name for row in table.ROWS)}"
    ):
        table.create("sphinx:fast")


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    row = table.Row("distant", "scribewire.engines.scripted:ScriptedEngine", ("no_such_library",), "server")
    monkeypatch.setattr(table, "ROWS", (row,))

    with pytest.raises(EngineMissing, match=r"needs no_such_library: pip install 'scribewire\[server\]'"):
        table.find("distant")


@pytest.mark.parametrize("target", ["no.such.module:Engine", "scribewire.engines.scripted:NoSuchEngine"])
def test_an_engine_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.setattr(table, "ROWS", (table.Row("broken", target),))

    with pytest.raises(EngineMissing, match=target):
        table.create("broken")


def test_an_engine_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "scribewire.engines.scripted:ScriptedEngine", table.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **chosen: EntryPoints([point]).select(**chosen))

    assert isinstance(table.create("theirs:words"), ScriptedEngine)
    assert table.find("pocketsphinx") is table.ROWS[0]


@pytest.mark.e2e
def test_looking_for_an_engine_imports_neither_it_nor_its_library() -> None:
    script = (
        "import sys; from scribewire.engines import table; table.find('pocketsphinx');"
        "print({'pocketsphinx', 'scribewire.engines.pocketsphinx', 'numpy', 'onnxruntime'} & set(sys.modules))"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert asked.stdout.strip() == "set()"
