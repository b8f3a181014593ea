"""Bounds: what the settings, and the machine, allow the policy."""

from __future__ import annotations

import os
import sys

from scribewire.core import policy
from scribewire.settings import Settings


def bounds_of(settings: Settings) -> policy.Bounds:
    """Give the policy's bounds; without a maximum it is the cores of this machine, or the addresses that there are."""
    scaling = settings.autoscaling
    natural = len(settings.scaler.addresses) if settings.scaler.kind == "static" else _cores()
    return policy.Bounds(
        enabled=scaling.enabled,
        min_workers=scaling.min_workers,
        max_workers=max(1, scaling.max_workers or natural),
        target_utilisation=scaling.target_utilisation,
        spare_slots=scaling.spare_slots,
        cooldown_s=scaling.cooldown_s,
        idle_s=scaling.idle_s,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
