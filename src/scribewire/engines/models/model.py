"""What a model of the catalogue is: one archive or some files, of one engine, under one licence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

ARCHIVES: Final = (".tar.bz2", ".tar.gz", ".tgz", ".zip")
# Room asked for what an archive unpacks to, in archives; weights hardly shrink.
UNPACKED_TIMES: Final = 2


class Vouched(StrEnum):
    """What a model's checksums rest on."""

    PUBLISHED = "published"
    FIRST_USE = "on first use"
    IMPORTED = "at import"


@dataclass(frozen=True, slots=True)
class File:
    """One file to download. `size_bytes` is exact where there is a checksum, else as the source rounds it."""

    url: str
    size_bytes: int
    sha256: str | None = None

    @property
    def name(self) -> str:
        """Give the last part of the address."""
        return PurePosixPath(self.url).name


@dataclass(frozen=True, slots=True)
class Model:
    """One row: `files` are one archive of the model's folder, or the files in it. No languages means many."""

    name: str
    engine: str
    languages: tuple[str, ...]
    licence: str
    page: str
    files: tuple[File, ...]

    @property
    def archived(self) -> bool:
        """Say whether the model comes as one archive."""
        return len(self.files) == 1 and self.files[0].name.endswith(ARCHIVES)

    @property
    def size_bytes(self) -> int:
        """Give how much is downloaded."""
        return sum(file.size_bytes for file in self.files)

    @property
    def vouched(self) -> Vouched:
        """Say what the checksums rest on."""
        return Vouched.PUBLISHED if all(file.sha256 for file in self.files) else Vouched.FIRST_USE
