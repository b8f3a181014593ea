"""Loading: the collector is held off meanwhile, and leaves alone what came of it."""

from __future__ import annotations

import gc
import weakref

import pytest

from scribewire.loading import loading


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_loaded_is_not_looked_at_again() -> None:
    with loading():
        assert not gc.isenabled()
        kept = weakref.ref(Ring())
    assert gc.isenabled()
    gc.collect()
    assert kept() is not None
    gc.unfreeze()
    gc.collect()
    assert kept() is None


def test_the_collector_runs_again_where_loading_fails_and_stays_off_where_it_was_off() -> None:
    with pytest.raises(ModuleNotFoundError), loading():
        raise ModuleNotFoundError
    assert gc.isenabled()
    gc.disable()
    try:
        with loading():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
