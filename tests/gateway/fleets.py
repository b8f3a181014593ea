"""Settings, requests and sessions for tests of the fleet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from scribewire import frames
from scribewire.gateway.fleet import Fleet
from scribewire.gateway.link import RemoteStream, StreamRequest
from scribewire.settings import AutoscalingSettings, LimitSettings, SessionSettings, Settings
from tests.gateway.doubles import (
    InMemoryScaler,
)

REQUEST = StreamRequest("s1", "en", "fast", 0, partial=True, actual_numbers=False, resume=b"")
REPLACEMENT = replace(REQUEST, session="lost", replacement=True)
Started = Callable[..., Awaitable[tuple[Fleet, InMemoryScaler]]]


def settings(
    *,
    enabled: bool = True,
    min_workers: int = 0,
    max_workers: int = 2,
    cooldown_s: float = 60.0,
    idle_s: float = 60.0,
    start_wait_s: float = 5.0,
    wake_on_start: bool = False,
    slot_wait_s: float = 5.0,
    replace_wait_s: float = 5.0,
    sessions: int = 100,
) -> Settings:
    return Settings(
        autoscaling=AutoscalingSettings(
            enabled=enabled,
            min_workers=min_workers,
            max_workers=max_workers,
            cooldown_s=cooldown_s,
            idle_s=idle_s,
            start_wait_s=start_wait_s,
            wake_on_start=wake_on_start,
        ),
        session=SessionSettings(slot_wait_s=slot_wait_s, replace_wait_s=replace_wait_s),
        limits=LimitSettings(sessions=sessions),
    )


def ignore(frame: frames.Frame) -> None:
    """Listen to nothing."""


async def fill(fleet: Fleet, count: int) -> list[RemoteStream]:
    return [await fleet.open_stream(REQUEST, ignore) for _ in range(count)]
