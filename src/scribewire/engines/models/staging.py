"""Where a model is made: a lock, a folder on the models' own disk, and the step that puts the finished model in place.

Nothing but `place` touches a model that is there. A pull that broke leaves its downloaded parts, which the next pull
goes on with; everything else it left is cleared when any model is next worked on.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from scribewire.errors import ModelBroken

# In the folder of models, hidden from the list of them.
_WORK: Final = ".pulls"
# In the folder of one model's work: parts of downloads, the new model, the one it replaces, one that is to go.
PARTS: Final = "parts"
NEW: Final = "new"
_OLD: Final = "old"
REMOVED: Final = "removed"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def is_name(name: str) -> bool:
    """Say whether a text may name a model, and so a folder."""
    return _NAME.fullmatch(name) is not None


def has_leftovers(models_dir: Path, name: str) -> bool:
    """Say whether a pull of a model was begun and not ended."""
    return (models_dir / _WORK / name).is_dir()


@contextmanager
def held(models_dir: Path, name: str) -> Iterator[Path]:
    """Hold a model for oneself and give the folder to work in.

    Raises ModelBroken when somebody else holds it, or the folder cannot be made.
    """
    work = models_dir / _WORK / name
    try:
        work.parent.mkdir(parents=True, exist_ok=True)
        with _lock(models_dir, name) as ours:
            if not ours:
                raise ModelBroken(f"Another command is at work on the model {name}: let it end first.")
            _clear_broken(models_dir, name)
            work.mkdir(exist_ok=True)
            try:
                yield work
            finally:
                _clear(models_dir, work)
    except PermissionError as error:
        raise ModelBroken(f"{error.filename or models_dir} cannot be used: {error.strerror}.") from error


def place(folder: Path, work: Path, models_dir: Path, name: str) -> None:
    """Put a finished folder where its model belongs, by a rename, and clear the work.

    A model that was there is out of the way for the time between two renames, and comes back if the second fails.
    """
    target, old = models_dir / name, work / _OLD
    if target.exists():
        target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(work)


def _clear_broken(models_dir: Path, held_name: str) -> None:
    for work in (models_dir / _WORK).iterdir():
        if not work.is_dir():
            continue
        if work.name == held_name:
            _clear(models_dir, work)
            continue
        with _lock(models_dir, work.name) as ours:
            if ours:
                _clear(models_dir, work)


def _clear(models_dir: Path, work: Path) -> None:
    old, target = work / _OLD, models_dir / work.name
    if old.exists() and not target.exists():  # whoever placed the new one died between the renames
        old.rename(target)
    for leftover in (old, work / NEW, work / REMOVED):
        if leftover.exists():
            shutil.rmtree(leftover)
    for folder in (work / PARTS, work):
        with suppress(OSError):  # something is in it, or it has gone
            folder.rmdir()


@contextmanager
def _lock(models_dir: Path, name: str) -> Iterator[bool]:
    """Take the lock of a model if it is free, and say whether it was. Its holder's death frees it."""
    descriptor = os.open(models_dir / _WORK / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
