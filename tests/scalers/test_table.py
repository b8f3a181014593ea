"""The table creates what the settings name."""

from __future__ import annotations

import pytest

from scribewire.scalers.local import LocalScaler
from scribewire.scalers.static import StaticScaler
from scribewire.scalers.table import create_scaler
from scribewire.settings import ScalerSettings, Settings, WorkerSettings


def test_the_kind_in_the_settings_chooses_the_scaler() -> None:
    assert isinstance(create_scaler(Settings()), LocalScaler)
    static = ScalerSettings(kind="static", addresses=("tcp:worker.example:9000",))
    assert isinstance(create_scaler(Settings(scaler=static)), StaticScaler)


def test_a_worker_inherits_none_of_our_variables_but_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_KEY", "not for a worker")
    monkeypatch.setenv("SCRIBEWIRE_WORKER__SLOTS", "5")
    monkeypatch.setenv("COLOUR", "green")
    scaler = create_scaler(Settings(worker=WorkerSettings(slots=3)))
    assert isinstance(scaler, LocalScaler)
    assert "SCRIBEWIRE_KEY" not in scaler.environment
    assert scaler.environment["SCRIBEWIRE_WORKER__SLOTS"] == "3"
    assert scaler.environment["COLOUR"] == "green"
