"""Bounds: what the settings, and the machine, allow the policy."""

from __future__ import annotations

from scribewire.core import policy
from scribewire.cores import usable_cores
from scribewire.settings import Settings


def bounds_of(settings: Settings) -> policy.Bounds:
    """Give the policy's bounds; without a maximum it is the cores of this machine, or the addresses that there are."""
    scaling = settings.autoscaling
    natural = len(settings.scaler.addresses) if settings.scaler.kind == "static" else usable_cores()
    return policy.Bounds(
        enabled=scaling.enabled,
        min_workers=scaling.min_workers,
        max_workers=max(1, scaling.max_workers or natural),
        target_utilisation=scaling.target_utilisation,
        spare_slots=scaling.spare_slots,
        cooldown_s=scaling.cooldown_s,
        idle_s=scaling.idle_s,
    )
