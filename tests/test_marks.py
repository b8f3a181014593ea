"""Marks are true: a test that reaches outside its process without one fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.e2e
@pytest.mark.parametrize(("mark", "outcome"), [("", "failed"), ("@pytest.mark.integration", "passed")])
def test_a_test_without_a_mark_may_reach_nothing(tmp_path: Path, mark: str, outcome: str) -> None:
    (tmp_path / "test_reaching.py").write_text(
        f"""
import os, socket, sqlite3, subprocess
import pytest

{mark}
@pytest.mark.parametrize("reach", [
    lambda: sqlite3.connect(":memory:").close(),
    lambda: socket.create_server(("127.0.0.1", 0)).close(),
    lambda: subprocess.run(["true"], check=True),
])
def test_reach(reach):
    reach()
""",
        encoding="utf-8",
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", ROOT / "pyproject.toml", tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert f"3 {outcome}" in run.stdout
    assert ("came to subprocess.Popen" in run.stdout) == (outcome == "failed")
