"""The compose file: valid, closed, and given settings that there are."""

from __future__ import annotations

import importlib.resources
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scribewire import settings
from tests.deploy.test_dockerfile import STAGES

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose.yaml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return loaded


def test_it_is_valid_by_the_specification(compose: dict[str, Any]) -> None:
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema")  # its package has the schema
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    schemas = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    jsonschema.validate(compose, json.loads((schemas / "compose-spec.json").read_text(encoding="utf-8")))


@pytest.mark.e2e
@pytest.mark.parametrize("profiles", [(), ("--profile", "postgres")], ids=["plain", "postgres"])
def test_docker_takes_it(profiles: tuple[str, ...]) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    ran = subprocess.run(
        [docker, "compose", "--file", str(COMPOSE), *profiles, "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_no_container_has_a_right_that_it_can_do_without(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "healthcheck" in service


def test_only_this_machine_reaches_it_unless_you_say_so(compose: dict[str, Any]) -> None:
    assert compose["services"]["gateway"]["ports"] == ["${PUBLISH:-127.0.0.1:8000}:8000"]


def test_its_image_is_one_that_is_built_here(compose: dict[str, Any]) -> None:
    build = compose["services"]["gateway"]["build"]
    assert (COMPOSE.parent / build["context"] / build["dockerfile"]).exists()
    assert build["target"] in STAGES


def test_its_variables_are_settings(compose: dict[str, Any]) -> None:
    given = set(compose["services"]["gateway"]["environment"])
    assert given <= {row.variable for row in settings.table()}


def test_it_is_killed_only_after_its_drain(compose: dict[str, Any]) -> None:
    grace_s = int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace_s >= settings.ServerSettings().grace_s + 10
