"""Unpacks an archive from anywhere into a folder: plain files and folders only, none outside, and within bounds."""

from __future__ import annotations

import errno
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_IFDIR, S_IFMT, S_IFREG
from typing import IO, Final

from scribewire.engines.models.manifest import Told, tell_nobody
from scribewire.errors import ModelBroken

_BLOCK_BYTES: Final = 1 << 20
# What the readers raise of archives that are cut short or garbled: of names that are no text or hold a zero byte a
# ValueError, of one that is empty an IndexError, and of methods that zipfile lacks the last.
_DAMAGE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    IndexError,
    NotImplementedError,
)
# System errors that are the archive's fault: bzip2's own have no number, and zipfile may seek to before the start.
_DAMAGE_NUMBERS: Final = (None, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that an archive may become. Weights hardly shrink: eight times is far from any model."""

    files: int = 10_000
    times_its_size: int = 8
    floor_bytes: int = 64 << 20


def unpack(archive: Path, folder: Path, *, tell: Told = tell_nobody, bounds: Bounds = Bounds()) -> Path:
    """Unpack a tar (plain, gzip, bzip2, xz) or zip archive into a new folder; give the model's root in it.

    The root is the archive's only top folder if it has just one. Raises ModelBroken when the archive is damaged, passes
    the bounds, or holds a link, a device or a path that leads elsewhere.
    """
    size_bytes = archive.stat().st_size
    left_bytes = max(bounds.floor_bytes, bounds.times_its_size * size_bytes)
    folder.mkdir(parents=True)
    with archive.open("rb") as raw, _damage_of(archive):
        for count, (name, source) in enumerate(_members(raw, folder), 1):
            if count > bounds.files:
                raise ModelBroken(f"{archive.name} holds more than {bounds.files:,} files: it is no model.")
            target = folder / name
            if source is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("xb") as file:
                while block := source.read(_BLOCK_BYTES):
                    left_bytes -= len(block)
                    if left_bytes < 0:
                        raise ModelBroken(f"{archive.name} unpacks to far more than its size: it is no model.")
                    file.write(block)
                    tell(f"unpacking {archive.name}", raw.tell(), size_bytes)
    top = list(folder.iterdir())
    return top[0] if len(top) == 1 and top[0].is_dir() else folder


def _members(raw: IO[bytes], folder: Path) -> Iterator[tuple[PurePosixPath, IO[bytes] | None]]:
    """Give every member's path with its content, or None for a folder's."""
    for name, source in _zip_members(raw) if zipfile.is_zipfile(raw) else _tar_members(raw, folder):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
            raise ModelBroken(f"The archive holds the path {name!r}, which leads out of it.")
        if not _is_litter(path):
            yield path, source


def _is_litter(path: PurePosixPath) -> bool:
    """Tell what macOS adds to archives: no part of a model, and it would hide that there is one top folder."""
    return any(part.startswith("._") or part in {"__MACOSX", ".DS_Store"} for part in path.parts)


def _tar_members(raw: IO[bytes], folder: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    raw.seek(0)
    with tarfile.open(fileobj=raw) as packed:
        for member in packed:
            tarfile.data_filter(member, str(folder))
            if not (member.isreg() or member.isdir()):
                raise ModelBroken(f"The archive holds {member.name}, which is neither a file nor a folder.")
            yield member.name, packed.extractfile(member)


def _zip_members(raw: IO[bytes]) -> Iterator[tuple[str, IO[bytes] | None]]:
    with zipfile.ZipFile(raw) as packed:
        for member in packed.infolist():
            if S_IFMT(member.external_attr >> 16) not in (0, S_IFREG, S_IFDIR):  # 0: made where there are no such kinds
                raise ModelBroken(f"The archive holds {member.filename}, which is neither a file nor a folder.")
            if member.flag_bits & 1:
                raise ModelBroken("The archive is encrypted.")
            yield member.filename, None if member.is_dir() else packed.open(member)


@contextmanager
def _damage_of(archive: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ModelBroken(f"{archive.name} holds a path twice.") from error
    except tarfile.FilterError as error:
        raise ModelBroken(f"{archive.name} holds what may not be unpacked: {error}.") from error
    except _DAMAGE as error:
        raise ModelBroken(f"{archive.name} cannot be unpacked: {str(error) or type(error).__name__}.") from error
    except OSError as error:
        if error.errno not in _DAMAGE_NUMBERS:
            raise
        raise ModelBroken(f"{archive.name} cannot be unpacked: {error}.") from error
