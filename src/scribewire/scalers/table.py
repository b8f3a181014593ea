"""The table of scalers: one row a kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from scribewire.errors import BadSettings, ExtraMissing
from scribewire.scalers.base import Scaler
from scribewire.scalers.local import LocalScaler
from scribewire.scalers.static import StaticScaler
from scribewire.settings import PREFIX, Settings


def _local(settings: Settings) -> Scaler:
    # A worker knows nothing of keys and stores, so of our own variables it gets only what `environment` names.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return LocalScaler({**inherited, **settings.environment()}, drain_s=settings.server.grace_s)


def _static(settings: Settings) -> Scaler:
    return StaticScaler(settings.scaler.addresses)


def _kubernetes(settings: Settings) -> Scaler:
    if not settings.autoscaling.max_workers:
        raise BadSettings("autoscaling.max_workers must be set when scaler.kind is kubernetes.")
    if find_spec("kubernetes_asyncio") is None:
        raise ExtraMissing("scaler.kind=kubernetes", "kubernetes")
    # It takes a second to import, which no other kind should wait for.
    from scribewire.scalers.cluster import KubernetesCluster, Target
    from scribewire.scalers.kubernetes import KubernetesScaler

    chosen = settings.kubernetes
    target = Target(chosen.deployment, chosen.selector, chosen.namespace)
    kubeconfig = Path(chosen.kubeconfig).expanduser() if chosen.kubeconfig else None
    return KubernetesScaler(KubernetesCluster(target, kubeconfig=kubeconfig), port=chosen.port)


_SCALERS: Final[dict[str, Callable[[Settings], Scaler]]] = {
    "local": _local,
    "static": _static,
    "kubernetes": _kubernetes,
}


def create_scaler(settings: Settings) -> Scaler:
    """Give the scaler that the settings name.

    Raises BadSettings when its own settings do not fit together, ExtraMissing when it needs an extra.
    """
    return _SCALERS[settings.scaler.kind](settings)
