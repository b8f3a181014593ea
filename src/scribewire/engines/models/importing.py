"""Imports a model from a folder or an archive on this machine, without a network."""

from __future__ import annotations

import shutil
from pathlib import Path

from scribewire.engines.models import catalogue, manifest, staging
from scribewire.engines.models.making import check_room, finish, guess_engine, room_on
from scribewire.engines.models.manifest import Entry, Manifest, Told, tell_nobody
from scribewire.engines.models.model import ARCHIVES, UNPACKED_TIMES, Model, Vouched
from scribewire.engines.models.unpack import unpack
from scribewire.errors import ModelBroken


def import_model(
    path: Path,
    models_dir: Path,
    *,
    name: str | None = None,
    engine: str | None = None,
    languages: tuple[str, ...] = (),
    tell: Told = tell_nobody,
) -> Manifest:
    """Copy or unpack a model into the folder of models.

    An archive of the catalogue is known by its file name and held to its published checksum; under another file name
    it is known by that checksum and the model's name. Raises ModelBroken when there is a model of that name already, it
    cannot be told which engine it is for, it cannot be read, or what `pull` raises it for.
    """
    row = catalogue.find_archive(path.name) or (catalogue.find(name) if name else None)
    name = name or (row.name if row else _bare_name(path))
    if not path.exists():
        raise ModelBroken(f"{path} does not exist.")
    if not staging.is_name(name):
        raise ModelBroken(f"{name!r} cannot name a model: use letters, digits, dots, dashes; see --name.")
    with room_on(models_dir), staging.held(models_dir, name) as work:
        if (models_dir / name).exists():
            raise ModelBroken(f"There is a model {name} already: scribewire models remove {name}, or give --name.")
        downloads, vouched = _check_archive(path, row, tell)
        _check_room(path, models_dir, name)
        root = _copy(path, work / staging.NEW, tell)
        known = Manifest(
            name=name,
            engine=_engine_of(root, path, engine or (row.engine if row else None)),
            languages=tuple(tag.lower() for tag in languages) or (row.languages if row else ()),
            licence=row.licence if row else "",
            source=row.page if row else "",
            vouched=vouched,
            pulled_at=manifest.now_at(),
            downloads=downloads,
        )
        return finish(root, work, models_dir, known, tell)


def _engine_of(root: Path, path: Path, wanted: str | None) -> str:
    """Give the engine that a model is for; one that is wanted may be of another package, whose files nobody knows."""
    guessed = guess_engine(root)
    if wanted and guessed not in (None, wanted):
        raise ModelBroken(f"{path} holds a model for {guessed}, not for {wanted}.")
    if not (wanted or guessed):
        raise ModelBroken(f"{path} holds no model for sherpa, vosk or whisper: give its engine by --engine.")
    return wanted or guessed or ""


def _bare_name(path: Path) -> str:
    name = path.resolve().name
    return next((name.removesuffix(suffix) for suffix in ARCHIVES if name.endswith(suffix)), name)


def _check_archive(path: Path, row: Model | None, tell: Told) -> tuple[tuple[Entry, ...], Vouched]:
    """Give an archive's entry and what vouches for it; nothing vouches for a folder."""
    if not path.is_file():
        return (), Vouched.IMPORTED
    manifest.check_name(path.name)
    size_bytes, sha256 = path.stat().st_size, manifest.hash_file(path, tell)
    file = row.files[0] if row and row.archived else None
    if file and file.sha256 == sha256:
        return (Entry(file.name, size_bytes, sha256),), Vouched.PUBLISHED
    if file and file.sha256 and file.name == path.name:
        raise ModelBroken(f"{path} does not have the published checksum of {file.name}.")
    return (Entry(path.name, size_bytes, sha256),), Vouched.IMPORTED


def _check_room(path: Path, models_dir: Path, name: str) -> None:
    if path.is_file():
        needed_bytes = UNPACKED_TIMES * path.stat().st_size
    else:
        needed_bytes = sum(file.stat().st_size for file in manifest.files_of(path))
    check_room(needed_bytes, models_dir, name)


def _copy(path: Path, new: Path, tell: Told) -> Path:
    if path.is_file():
        return unpack(path, new, tell=tell)
    try:
        # Links are followed: the caches of model hubs are made of them. Hidden files are version control and the like.
        shutil.copytree(path, new, ignore=shutil.ignore_patterns(".*", manifest.MANIFEST_FILE))
    except shutil.Error as error:
        [(_, _, reason), *_] = error.args[0]
        raise ModelBroken(f"{path} cannot be copied: {reason}.") from error
    return new
