"""What is pulled: find a model for an engine, list, verify and remove."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from scribewire.engines.models import catalogue, manifest, staging
from scribewire.engines.models.manifest import Entry, Manifest, Told, tell_nobody
from scribewire.engines.models.model import Model, Vouched
from scribewire.errors import EngineMissing, ModelBroken


def find_model(name: str, models_dir: Path, *, engine: str) -> Path:
    """Give the folder of a pulled model; a name with a separator in it is the path of any folder, used as it is.

    Looks at sizes only, never into the files. Raises EngineMissing, with the command that mends it, when there is no
    such model, it is another engine's, or files of it are missing or of another size than was pulled.
    """
    if os.sep in name or "/" in name:
        path = Path(name).expanduser()
        if not path.is_dir():
            raise EngineMissing(f"There is no folder {name} for the {engine} engine to load a model from.")
        return path
    folder = models_dir / name
    if name.startswith(".") or not name or not folder.is_dir():
        raise EngineMissing(_how_to_get(name, engine))
    try:
        known = manifest.read(folder)
    except ModelBroken as error:
        raise EngineMissing(f"{error} {_how_to_mend(name)}") from error
    if known is None:
        raise EngineMissing(
            f"The folder {folder} has no manifest: give its path as the model, or move it away and run "
            f"scribewire models import PATH --name {name}"
        )
    if known.engine != engine:
        raise EngineMissing(f"The model {name} is for {known.engine}, not for {engine}.")
    if damaged := _misfits(folder, known):
        raise EngineMissing(f"The model {name} is damaged ({damaged[0]}). {_how_to_mend(name)}")
    return folder


def languages_of(folder: Path) -> tuple[str, ...]:
    """Give the languages of a model's folder by its manifest: none when it names none, or there is none."""
    try:
        known = manifest.read(folder)
    except ModelBroken:
        return ()
    return known.languages if known else ()


def list_pulled(models_dir: Path) -> dict[str, Manifest | None]:
    """Give what lies in the folder of models, by name: None for what has no manifest that can be read."""
    pulled: dict[str, Manifest | None] = {}
    if models_dir.is_dir():
        for folder in sorted(models_dir.iterdir()):
            if folder.is_dir() and not folder.name.startswith("."):
                try:
                    pulled[folder.name] = manifest.read(folder)
                except ModelBroken:
                    pulled[folder.name] = None
    return pulled


def is_whole(folder: Path) -> bool:
    """Say whether a model is there with all its files, by their sizes."""
    try:
        known = manifest.read(folder)
    except ModelBroken:
        return False
    return known is not None and not _misfits(folder, known)


def is_current(model: Model, models_dir: Path) -> bool:
    """Say whether a model of the catalogue is there whole, as its row has it now, or as somebody brought it."""
    try:
        known = manifest.read(models_dir / model.name)
    except ModelBroken:
        return False
    if known is None or _misfits(models_dir / model.name, known):
        return False
    if known.vouched is Vouched.IMPORTED:
        return True
    recorded = {entry.path: entry.sha256 for entry in known.downloads}
    return all(file.name in recorded and file.sha256 in (None, recorded[file.name]) for file in model.files)


def verify(name: str, models_dir: Path, tell: Told = tell_nobody) -> Manifest:
    """Hash every file of a model and compare with its manifest.

    Raises ModelBroken when it is not there, or a file is missing, of another size or checksum, or was never pulled.
    """
    folder = models_dir / name
    known = manifest.read(folder) if staging.is_name(name) else None
    if known is None:
        raise ModelBroken(_how_to_get(name, "any"))
    damaged = _misfits(folder, known) or [
        f"{entry.path} has another checksum"
        for entry in known.files
        if manifest.hash_file(folder / entry.path, tell) != entry.sha256
    ]
    strangers = set(manifest.files_of(folder)) - {folder / entry.path for entry in known.files}
    damaged += [f"{path.relative_to(folder)} was not pulled" for path in sorted(strangers)]
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise ModelBroken(f"The model {name} is damaged: {damaged[0]}{more}. Pull it again: {_again(name)}")
    return known


def remove(name: str, models_dir: Path) -> None:
    """Remove a model, what is left of a broken pull of it, and what the first pull was.

    Raises ModelBroken when there is neither, or somebody is pulling it.
    """
    if not staging.is_name(name) or not ((models_dir / name).is_dir() or staging.has_leftovers(models_dir, name)):
        raise ModelBroken(f"The model {name} is not pulled.")
    with staging.held(models_dir, name) as work:
        if (models_dir / name).is_dir():
            # Gone at once for who looks; deleting gigabytes takes a while.
            (models_dir / name).rename(work / staging.REMOVED)
        shutil.rmtree(work)


def _misfits(folder: Path, known: Manifest) -> list[str]:
    return [problem for entry in known.files if (problem := _misfit(folder / entry.path, entry))]


def _misfit(path: Path, entry: Entry) -> str:
    try:
        size_bytes = path.stat().st_size
    except OSError:
        return f"{entry.path} is missing"
    return "" if size_bytes == entry.size_bytes else f"{entry.path} has {size_bytes:,} bytes, not {entry.size_bytes:,}"


def _how_to_get(name: str, engine: str) -> str:
    model = catalogue.find(name)
    if model is None:
        return (
            f"The model {name!r} is not pulled and not in the catalogue (scribewire models list): "
            f"scribewire models import PATH --name {name or 'NAME'}"
        )
    if engine not in (model.engine, "any"):
        return f"The model {name} is for {model.engine}, not for {engine}."
    return f"The model {name} is not pulled: scribewire models pull {name}"


def _how_to_mend(name: str) -> str:
    return f"See scribewire models verify {name}, and pull it again: {_again(name)}"


def _again(name: str) -> str:
    if catalogue.find(name):
        return f"scribewire models pull {name}"
    return f"scribewire models remove {name}, then scribewire models import PATH --name {name}"
