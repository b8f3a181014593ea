"""The last steps of a new model: which engine it is for, is there room, its manifest, its place."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace
from rich.filesize import decimal

from scribewire.engines.models import manifest, staging
from scribewire.engines.models.manifest import Manifest, Told
from scribewire.errors import ModelBroken


def guess_engine(folder: Path) -> str | None:
    """Tell by its files which engine a folder's model is for; None is none that is known."""
    if (folder / "tokens.txt").is_file() and any(folder.glob("*.onnx")):
        return "sherpa"
    if (folder / "model.bin").is_file() and (folder / "config.json").is_file():
        return "whisper"
    # Vosk's newer layout, and the flat one of Kaldi.
    if any((folder / name).is_file() for name in ("am/final.mdl", "conf/model.conf", "final.mdl")):
        return "vosk"
    return None


def finish(root: Path, work: Path, models_dir: Path, known: Manifest, tell: Told) -> Manifest:
    """Write the manifest of a new model, its files included, and put it in place.

    Files that `known` names already are not hashed again.
    """
    known = replace(known, files=known.files or manifest.describe(root, tell))
    manifest.write(root, known)
    staging.place(root, work, models_dir, known.name)
    return known


def check_room(needed_bytes: int, folder: Path, name: str) -> None:
    """Raise ModelBroken when there is less free on a folder's disk than a model needs."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise ModelBroken(
            f"The model {name} needs about {decimal(needed_bytes)} of disk to be made, and {folder} has "
            f"{decimal(free_bytes)} free."
        )


@contextmanager
def room_on(models_dir: Path, *, kept: str = "") -> Iterator[None]:
    """Turn a disk that is full after all into a sentence; `kept` is one more, of what is not lost by it."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ModelBroken(f"The disk of {models_dir} is full. {kept}".rstrip()) from error
