"""Pulls a model of the catalogue from its source or a mirror."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx

from scribewire.engines.models import manifest, staging
from scribewire.engines.models.download import PATIENT, Download, Patience
from scribewire.engines.models.making import check_room, finish, guess_engine, room_on
from scribewire.engines.models.manifest import Entry, Manifest, Told, tell_nobody
from scribewire.engines.models.model import UNPACKED_TIMES, File, Model
from scribewire.engines.models.unpack import unpack
from scribewire.errors import ModelBroken

_KEPT: Final = "What was fetched is kept for the next try."


def pull(
    model: Model,
    models_dir: Path,
    *,
    mirror_url: str = "",
    patience: Patience = PATIENT,
    tell: Told = tell_nobody,
) -> Manifest:
    """Fetch a model and put it in place of the one of its name, if there is one; until then that one stays.

    A part that an earlier pull left is gone on with. Raises ModelBroken when it cannot be fetched, is not what its
    published or first seen checksum says, holds what may not be unpacked, finds no room, or is being pulled already.
    """
    with room_on(models_dir, kept=_KEPT), staging.held(models_dir, model.name) as work:
        parts = work / staging.PARTS
        parts.mkdir(exist_ok=True)
        _check_room(model, parts, models_dir)
        before = _read_before(models_dir / model.name)
        downloads = []
        with patience.client() as client:
            for file in model.files:
                url = _address(file, mirror_url)
                entry = Download(client, file, url, parts / file.name, tell=tell).fetch(patience)
                _check_first(entry, before, model, parts)
                downloads.append(entry)
        new = work / staging.NEW
        if model.archived:
            root = unpack(parts / model.files[0].name, new, tell=tell)
        else:
            root = new
            root.mkdir()
            for entry in downloads:
                (parts / entry.path).rename(root / entry.path)
        if guess_engine(root) != model.engine:
            raise ModelBroken(f"What came as {model.name} holds no model for {model.engine}.")
        known = Manifest(
            name=model.name,
            engine=model.engine,
            languages=model.languages,
            licence=model.licence,
            source=model.page,
            vouched=model.vouched,
            pulled_at=manifest.now_at(),
            downloads=tuple(downloads),
            # Loose files were hashed as they came, and lie in the folder as they did in the source.
            files=() if model.archived else tuple(downloads),
        )
        return finish(root, work, models_dir, known, tell)


def _address(file: File, mirror_url: str) -> str:
    """Give where to fetch a file from: a mirror has every path below its base, whatever its host was."""
    if not mirror_url:
        return file.url
    return mirror_url.rstrip("/") + httpx.URL(file.url).raw_path.decode("ascii")


def _check_room(model: Model, parts: Path, models_dir: Path) -> None:
    have_bytes = sum(path.stat().st_size for path in parts.iterdir())
    times = 1 + UNPACKED_TIMES if model.archived else 1
    check_room(times * model.size_bytes - have_bytes, models_dir, model.name)


def _read_before(folder: Path) -> Manifest | None:
    try:
        return manifest.read(folder)
    except ModelBroken:  # the new one replaces it
        return None


def _check_first(entry: Entry, before: Manifest | None, model: Model, parts: Path) -> None:
    """Hold a file to what was pulled first, where its source publishes no checksum."""
    recorded = {old.path: old.sha256 for old in before.downloads} if before else {}
    published = {file.name for file in model.files if file.sha256}
    if before is None or entry.path in published or recorded.get(entry.path, entry.sha256) == entry.sha256:
        return
    (parts / entry.path).unlink()
    raise ModelBroken(
        f"{entry.path} is not what was pulled first, on {before.pulled_at:%Y-%m-%d}, and its source publishes no "
        f"checksum to tell which is right. To trust the new one: scribewire models remove {model.name}, then pull."
    )
