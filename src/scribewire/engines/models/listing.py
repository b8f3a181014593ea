"""The list of models: the catalogue's, and what is there besides, with how each is vouched for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scribewire.engines.models import catalogue, folder, staging
from scribewire.engines.models.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Row:
    """One model. `here` is empty, or pulled, damaged or partly; `checksum` says what it rests on."""

    name: str
    engine: str
    languages: tuple[str, ...]
    size_bytes: int
    licence: str
    checksum: str
    source: str
    here: str

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return asdict(self)


def list_rows(models_dir: Path) -> list[Row]:
    """Give the catalogue's models and then the others that are there."""
    pulled = folder.list_pulled(models_dir)
    names = dict.fromkeys([*(model.name for model in catalogue.CATALOGUE), *pulled])
    return [_row(name, models_dir, pulled.get(name)) for name in names]


def _row(name: str, models_dir: Path, known: Manifest | None) -> Row:
    here = _here(name, models_dir)
    model = catalogue.find(name)
    if known:
        size_bytes = model.size_bytes if model else sum(entry.size_bytes for entry in known.files)
        licence = known.licence or "not stated"
        return Row(name, known.engine, known.languages, size_bytes, licence, known.vouched, known.source, here)
    if model:
        return Row(
            name, model.engine, model.languages, model.size_bytes, model.licence, model.vouched, model.page, here
        )
    return Row(name, "unknown", (), 0, "not stated", "none", "", here)


def _here(name: str, models_dir: Path) -> str:
    if (models_dir / name).is_dir():
        return "pulled" if folder.is_whole(models_dir / name) else "damaged"
    return "partly" if staging.has_leftovers(models_dir, name) else ""
