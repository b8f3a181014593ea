"""The table of scalers: one row a kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

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


_SCALERS: Final[dict[str, Callable[[Settings], Scaler]]] = {"local": _local, "static": _static}


def create_scaler(settings: Settings) -> Scaler:
    """Give the scaler that the settings name.

    Raises BadSettings when its own settings do not fit together.
    """
    return _SCALERS[settings.scaler.kind](settings)
