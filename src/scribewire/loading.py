"""Libraries are loaded with the garbage collector held off: they stay, and it looks through them for nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Hold the collector off while libraries are loaded, and have it leave alone from then on what is there.

    It would go through all of them many times as they load, in its full collections while the program runs, and twice
    more when it ends: a quarter of a start, pauses of a tenth of a second, half of an end.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
