"""docs/operate.md: its commands parse, its files are valid, and it knows every alert and every object by its name."""

from __future__ import annotations

import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scribewire.cli import app
from scribewire.gateway.store import Store
from tests.deploy.chart import ROOT, find, render
from tests.gateway.databases import sqlite_url

PAGE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^ *```(\w+)\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line.strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
FILES = {text.split()[1]: text for kind, text in BLOCKS if kind == "yaml"}
# Ours begin a line, or follow what runs them in a container; elsewhere the word is a name.
OURS = [found[1] for line in COMMANDS if (found := re.search(r"(?:^|gateway (?:-- )?)scribewire (.*)$", line))]


def load_yaml(text: str) -> Any:
    return pytest.importorskip("yaml", reason="needs PyYAML").safe_load(text)


def test_commands_of_ours_are_found() -> None:
    assert len(OURS) >= 6


@pytest.mark.parametrize("command", OURS)
def test_a_command_of_ours_parses(command: str) -> None:
    # Help comes after parsing: an option that there is not is refused before.
    assert CliRunner().invoke(app, [*shlex.split(command), "--help"]).exit_code == 0


@pytest.mark.e2e
def test_every_alert_is_explained() -> None:
    explained = re.findall(r"^\| `(Scribewire\w+)` \|", PAGE, re.MULTILINE)
    rules = find(render("--set", "monitoring.enabled=true"), "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert explained == [rule["alert"] for rule in rules]


@pytest.mark.e2e
def test_the_chart_takes_its_values(tmp_path: Path) -> None:
    values = tmp_path / "speech.yaml"
    values.write_text(FILES["speech.yaml"], encoding="utf-8")
    kinds = {one["kind"] for one in render("--values", str(values))}
    assert {"Ingress", "PrometheusRule"} <= kinds


@pytest.mark.e2e
def test_its_pod_is_valid_and_mounts_the_volume_of_the_gateway() -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    pod = load_yaml(FILES["restore.yaml"])
    kubernetes_validate.validate(pod, "1.30", strict=True)
    [volume] = pod["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == find(render(), "PersistentVolumeClaim")["metadata"]["name"]


@pytest.mark.e2e
def test_objects_are_called_by_their_names() -> None:
    there = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in render()}
    named = re.findall(r"\b(?:deployment/|secret )scribewire-\w+", PAGE)
    assert {name.replace(" ", "/") for name in named} <= there


def test_files_and_options_of_the_repository_exist() -> None:
    for line in COMMANDS:
        for path in re.findall(r"(?<= )deploy/[\w./]+", line):
            assert (ROOT / path).exists()
        for target in re.findall(r"--target (\w+)", line):
            assert f" AS {target}\n" in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def test_the_slots_are_reckoned_as_it_says() -> None:
    [worker] = json.loads(next(text for kind, text in BLOCKS if kind == "json"))["workers"]
    assert worker["slots"] == math.floor(0.85 / worker["rtf"])
    assert math.floor(0.85 * 2 / worker["rtf"]) == 10


@pytest.mark.e2e
async def test_the_backup_of_sqlite_holds_the_keys(tmp_path: Path) -> None:
    store = await Store.open(sqlite_url(tmp_path / "scribewire.db"))
    key, _ = await store.create_key("kitchen", scopes=frozenset())
    command = next(line for line in COMMANDS if "VACUUM" in line)
    script = shlex.split(command)[-1]
    here = script.replace("/data/", f"{tmp_path}/").replace("/tmp/backup.db", str(tmp_path / "backup.db"))
    subprocess.run([sys.executable, "-c", here], check=True, timeout=20)
    await store.close()
    backup = await Store.open(sqlite_url(tmp_path / "backup.db"))
    assert [one.id for one in await backup.list_keys()] == [key.id]
    await backup.close()
