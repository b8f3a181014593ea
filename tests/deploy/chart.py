"""Renders the chart by helm itself, and reads from its manifests what a pod would be given."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "chart"
Manifest = dict[str, Any]


def helm() -> str:
    """Find helm: on the path, or beside this Python, where the package helm-binary puts it."""
    found = shutil.which("helm") or shutil.which("helm", path=str(Path(sys.executable).parent))
    return found or pytest.skip("needs helm")


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm(), *arguments], capture_output=True, text=True, timeout=30, check=False)


@cache
def render(*options: str, release: str = "scribewire") -> list[Manifest]:
    """Give the manifests for some options of helm, to be read only."""
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    ran = run_helm("template", release, str(CHART), "--namespace", "speech", *options)
    assert ran.returncode == 0, ran.stderr
    return [one for one in yaml.safe_load_all(ran.stdout) if one]


def refusal(*options: str) -> str:
    """Give what helm says to values that it must not take."""
    ran = run_helm("template", "scribewire", str(CHART), *options)
    assert ran.returncode != 0, "helm took it"
    return ran.stderr


def find(manifests: Sequence[Manifest], kind: str, name: str = "") -> Manifest:
    """Give the one manifest of a kind whose name ends so."""
    [found] = [one for one in manifests if one["kind"] == kind and one["metadata"]["name"].endswith(name)]
    return found


def pod_of(manifests: Sequence[Manifest], component: str) -> Manifest:
    pod: Manifest = find(manifests, "Deployment", component)["spec"]["template"]
    return pod


def container_of(manifests: Sequence[Manifest], component: str) -> Manifest:
    [container] = pod_of(manifests, component)["spec"]["containers"]
    found: Manifest = container
    return found


def variables_of(manifests: Sequence[Manifest], container: Manifest, secrets: Mapping[str, str]) -> dict[str, str]:
    """Give a container's variables, with the Secrets that are not the chart's own by `secrets`, name to value."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        variables |= find(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for row in container.get("env", []):
        source = row.get("valueFrom", {})
        if "secretKeyRef" in source:
            variables[row["name"]] = _secret(manifests, source["secretKeyRef"], secrets)
        else:
            variables[row["name"]] = "a-pod" if "fieldRef" in source else row["value"]
    return variables


def _secret(manifests: Sequence[Manifest], wanted: Manifest, secrets: Mapping[str, str]) -> str:
    if wanted["name"] in secrets:
        return secrets[wanted["name"]]
    return base64.b64decode(find(manifests, "Secret", wanted["name"])["data"][wanted["key"]]).decode()
