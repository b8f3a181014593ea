"""The Dockerfile's promises, read from its text: no daemon that could build it is asked for."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scribewire import settings
from scribewire.engines.table import ROWS

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
TARGETS = ("gateway", "worker")


@dataclass
class Stage:
    """One FROM and what follows it, as pairs of instruction and arguments."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [arguments for name, arguments in self.steps if name == instruction]


def parse() -> dict[str, Stage]:
    """Give the stages by name."""
    stages: dict[str, Stage] = {}
    stage = Stage("")
    for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE)).splitlines():
        instruction, _, arguments = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = arguments.partition(" AS ")
            stage = stages[name] = Stage(base)
        elif instruction:
            stage.steps.append((instruction, " ".join(arguments.split())))
    return stages


STAGES = parse()


def lineage(target: str) -> Iterator[Stage]:
    """Give the stages whose files and settings are in a target's image, the target first."""
    while target in STAGES:
        yield STAGES[target]
        target = STAGES[target].base


def last(target: str, instruction: str) -> str:
    """Give the one of its kind that counts."""
    return next(stage.all(instruction)[-1] for stage in lineage(target) if stage.all(instruction))


def test_the_base_is_an_exact_release_and_may_be_a_digest() -> None:
    [python] = re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"3\.\d+\.\d+-slim-\w+", python)
    bases = {stage.base for stage in STAGES.values()} - set(STAGES)
    assert bases == {"python:${PYTHON}${PYTHON_DIGEST}"}


def test_everything_installed_is_held_to_the_lock() -> None:
    fetched = [step for stage in STAGES.values() for step in stage.all("RUN") if "pip" in step]
    from_network = [step for step in fetched if "--no-index" not in step]
    assert len(from_network) == 1
    assert "--require-hashes" in from_network[0]
    assert "--only-binary :all:" in from_network[0]


def test_every_engine_and_store_is_in_an_image() -> None:
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    )
    installed = {extra for names in re.findall(r"scribewire\[(.*?)\]", DOCKERFILE) for extra in names.split(",")}
    assert installed <= extras
    assert installed == {"kubernetes", "postgres"} | {row.extra for row in ROWS if row.extra}


@pytest.mark.parametrize("target", TARGETS)
def test_no_compiler_is_in_an_image(target: str) -> None:
    packages = [step for stage in lineage(target) for step in stage.all("RUN") if "apt-get install" in step]
    assert [re.findall(r"--no-install-recommends (.*?) &&", step) for step in packages] == [["tini"]]


@pytest.mark.parametrize("target", TARGETS)
def test_a_container_runs_as_a_number_that_is_not_root(target: str) -> None:
    user, _, group = last(target, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


@pytest.mark.parametrize("target", TARGETS)
def test_a_signal_reaches_the_service(target: str) -> None:
    assert json.loads(last(target, "ENTRYPOINT")) == ["tini", "--", "scribewire"]
    assert json.loads(last(target, "CMD"))[0] in ("serve", "worker")


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_says_whether_it_is_well(target: str) -> None:
    assert "CMD [" in last(target, "HEALTHCHECK")
    assert int(last(target, "EXPOSE")) > 0


def test_variables_are_settings_or_the_path() -> None:
    names = {name for stage in STAGES.values() for step in stage.all("ENV") for name in re.findall(r"(\w+)=", step)}
    assert names - {"PATH"} <= {row.variable for row in settings.table()}


def test_the_build_sees_only_what_it_copies() -> None:
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        source
        for stage in STAGES.values()
        for step in stage.all("COPY")
        if not step.startswith("--from")
        for source in step.split()[:-1]
    }
    assert "*" in ignore
    assert copied == allowed
    assert [name for name in allowed if not (ROOT / name).exists()] == []
