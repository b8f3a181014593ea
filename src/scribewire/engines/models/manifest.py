"""A model's manifest: what it is, where it came from, and the size and checksum of every file in its folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from scribewire.engines.models.model import Vouched
from scribewire.errors import ModelBroken

MANIFEST_FILE: Final = "scribewire.json"
_BLOCK_BYTES: Final = 1 << 20

Told = Callable[[str, int, int], None]
"""Hears how far a long task is: what is worked on, bytes done, bytes in all."""


def tell_nobody(what: str, done_bytes: int, total_bytes: int) -> None:
    """Hear it and do nothing."""


class Entry(msgspec.Struct, frozen=True):
    """One file: its path in the folder, or for a download its name, with what it must be."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """All that is known of a model on this machine. `downloads` are what was fetched, `files` what became of it."""

    name: str
    engine: str
    languages: tuple[str, ...]
    licence: str
    source: str
    vouched: Vouched
    pulled_at: datetime
    downloads: tuple[Entry, ...] = ()
    files: tuple[Entry, ...] = ()


def read(folder: Path) -> Manifest | None:
    """Read a folder's manifest, or give None when it has none.

    Raises ModelBroken when it has one that cannot be understood.
    """
    try:
        return msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ModelBroken(f"The manifest of the model {folder.name} cannot be read.") from error


def write(folder: Path, manifest: Manifest) -> None:
    """Write a folder's manifest."""
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def describe(folder: Path, tell: Told = tell_nobody) -> tuple[Entry, ...]:
    """Give an entry for every file of a folder but the manifest, in the order of their paths.

    Raises ModelBroken when one has a name that a manifest cannot hold.
    """
    paths = sorted(files_of(folder))
    for path in paths:
        check_name(path.relative_to(folder).as_posix())
    return tuple(
        Entry(path.relative_to(folder).as_posix(), path.stat().st_size, hash_file(path, tell)) for path in paths
    )


def check_name(name: str) -> None:
    """Raise ModelBroken when the name of a file is no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ModelBroken(f"The file name {os.fsencode(name)!r} is not UTF-8: rename it.") from error


def files_of(folder: Path) -> Iterator[Path]:
    """Give every file of a folder but the manifest."""
    return (path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST_FILE)


def hash_file(path: Path, tell: Told = tell_nobody) -> str:
    """Give a file's SHA-256 in hexadecimal."""
    return hash_open(path, tell).hexdigest()


def hash_open(path: Path, tell: Told = tell_nobody) -> hashlib._Hash:
    """Give the SHA-256 of a file so far, to go on with."""
    digest, total_bytes = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            tell(f"checking {path.name}", file.tell(), total_bytes)
    return digest


def now_at() -> datetime:
    """Give the time that a manifest is made at, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
