"""The simulator as it is called: what it prints, whose settings it takes, what it writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scribewire.cli import app
from scribewire.errors import BadSettings, ExtraMissing, NotFound

pytestmark = pytest.mark.e2e

SMALL = ("--sessions-per-day", "100", "--max-workers", "2", "--slots", "4")
PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *SMALL, *arguments])


def test_it_prints_a_row_for_the_policy_and_each_fixed_fleet() -> None:
    shown = simulate()
    assert shown.exit_code == 0
    assert re.match(r"\d+ sessions, at most \d+ at a time. Workers: 4 slots, ready after 15 s.\n", shown.stdout)
    rows = [line for line in shown.stdout.splitlines() if line.startswith(("policy", "fixed"))]
    assert [row.split("  ")[0] for row in rows] == ["policy", "fixed, 1", "fixed, 2"]
    assert all(len(re.findall(r"\d[\d.]*", row.partition("  ")[2])) == 9 for row in rows)


def test_a_seed_is_a_day() -> None:
    assert simulate().stdout == simulate().stdout
    assert simulate("--seed", "2").stdout != simulate().stdout


def test_settings_come_from_file_and_environment_and_options_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "scribewire.toml"
    config.write_text("[autoscaling]\nenabled = false\ncooldown_s = 30\nidle_s = 40\nspare_slots = 3\n")
    monkeypatch.setenv("SCRIBEWIRE_AUTOSCALING__IDLE_S", "50")
    shown = simulate("--config", str(config), "--spare-slots", "1").stdout
    assert "Policy: 0 to 2 workers, target utilisation 0.8, 1 spare slots,\ncooldown 30 s, idle after 50 s." in shown
    assert isinstance(simulate("--target-utilisation", "2").exception, BadSettings)


def test_the_figures_and_a_picture_are_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    shown = simulate("--json", str(tmp_path / "day.json"), "--plot", str(tmp_path / "day.png"))
    assert shown.exit_code == 0
    figures = json.loads((tmp_path / "day.json").read_text())
    assert [row["fleet"] for row in figures["fleets"]] == ["policy", "fixed, 1", "fixed, 2"]
    assert figures["bounds"]["max_workers"] == 2
    assert (tmp_path / "day.png").exists()
    assert isinstance(simulate("--json", str(tmp_path)).exception, NotFound)


def test_without_matplotlib_a_plot_is_refused_before_anything_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scribewire.bench.plot.find_spec", lambda name: None)
    shown = simulate("--plot", "day.png")
    assert isinstance(shown.exception, ExtraMissing)
    assert "pip install 'scribewire[bench]'" in str(shown.exception)
    assert shown.stdout == ""


def test_the_page_on_scaling_shows_what_its_command_prints() -> None:
    page = PAGE.read_text(encoding="utf-8")
    command = re.findall(r"^scribewire (simulate .*) --plot docs/scaling.png$", page, re.MULTILINE)[0]
    assert f"```\n{CliRunner().invoke(app, command.split()).stdout}```" in page
