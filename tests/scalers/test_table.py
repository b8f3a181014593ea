"""The table creates what the settings name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scribewire.errors import BadSettings, ExtraMissing
from scribewire.scalers import table
from scribewire.scalers.kubernetes import KubernetesScaler
from scribewire.scalers.local import LocalScaler
from scribewire.scalers.static import StaticScaler
from scribewire.scalers.table import create_scaler
from scribewire.settings import AutoscalingSettings, ScalerSettings, Settings, WorkerSettings


def test_the_kind_in_the_settings_chooses_the_scaler() -> None:
    assert isinstance(create_scaler(Settings()), LocalScaler)
    static = ScalerSettings(kind="static", addresses=("tcp:worker.example:9000",))
    assert isinstance(create_scaler(Settings(scaler=static)), StaticScaler)

    assert isinstance(create_scaler(on_kubernetes(max_workers=3)), KubernetesScaler)


def test_a_cluster_needs_a_maximum_for_its_size_is_not_this_machine_s() -> None:
    with pytest.raises(BadSettings, match="max_workers must be set"):
        create_scaler(on_kubernetes(max_workers=0))


def test_without_its_extra_the_kubernetes_scaler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"pip install 'scribewire\[kubernetes\]'"):
        create_scaler(on_kubernetes(max_workers=3))


@pytest.mark.e2e
def test_no_other_kind_imports_the_kubernetes_client() -> None:
    program = (
        "import sys; from scribewire.scalers.table import create_scaler; from scribewire.settings import Settings; "
        "create_scaler(Settings()); sys.exit('kubernetes_asyncio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def on_kubernetes(*, max_workers: int) -> Settings:
    return Settings(scaler=ScalerSettings(kind="kubernetes"), autoscaling=AutoscalingSettings(max_workers=max_workers))


def test_a_worker_inherits_none_of_our_variables_but_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBEWIRE_KEY", "not for a worker")
    monkeypatch.setenv("SCRIBEWIRE_WORKER__SLOTS", "5")
    monkeypatch.setenv("COLOUR", "green")
    scaler = create_scaler(Settings(worker=WorkerSettings(slots=3)))
    assert isinstance(scaler, LocalScaler)
    assert "SCRIBEWIRE_KEY" not in scaler.environment
    assert scaler.environment["SCRIBEWIRE_WORKER__SLOTS"] == "3"
    assert scaler.environment["COLOUR"] == "green"
