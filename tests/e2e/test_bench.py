"""The load generator against a real service with the scripted engine: exact words, and costs that it tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service import running
from tests.cli.run import run

pytestmark = pytest.mark.e2e

SCRIPTED = {
    "ENGINES__LANGUAGES": json.dumps({"en": {"fast": "scripted:words", "quality": "scripted:words"}}),
    "GATE__DETECTOR": "energy",
    "WORKER__SLOTS": "4",
    "AUTOSCALING__MAX_WORKERS": "1",
}


async def test_a_service_is_loaded_and_its_figures_are_true(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    async with running(SCRIPTED) as service:
        ran = await run(
            *("bench", "--tones", "--sessions", "3", "--seconds", "5", "--warm-up", "1", "--json", str(file)),
            data_dir=tmp_path,
            SCRIBEWIRE_URL=service.url,
            SCRIBEWIRE_KEY=service.key,
        )
    assert ran.code == 0, ran.err
    figures = json.loads(file.read_text())["figures"]
    assert (figures["completed"], figures["refused"], figures["failures"]) == (3, 0, [])
    assert (figures["wer"], figures["flicker"]) == (0.0, 0.0)
    assert figures["reference_words"] == 3 * 8
    assert figures["lag_ms"]["count"] > 3 * 5 * 3
    assert figures["gateway"]["memory_mib"] > 10
    assert [cost["memory_mib"] > 10 for cost in figures["workers"].values()] == [True]
