"""Models that come from this machine: folders, archives, and how it is told what they are."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from scribewire.engines.models import catalogue, find_model, languages_of, staging
from scribewire.engines.models.folder import is_current, list_pulled, verify
from scribewire.engines.models.importing import import_model
from scribewire.engines.models.model import File, Model, Vouched
from scribewire.errors import ModelBroken
from tests.engines.models.source import SHERPA, VOSK, WHISPER, sha256, tar_of, zip_of


def folder_of(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("files", "engine"),
    [(SHERPA, "sherpa"), (VOSK, "vosk"), ({"final.mdl": b"", "words.txt": b""}, "vosk"), (WHISPER, "whisper")],
)
def test_a_folder_tells_its_engine(tmp_path: Path, files: Mapping[str, bytes], engine: str) -> None:
    known = import_model(folder_of(files, tmp_path / "given"), tmp_path / "models", languages=("de",))
    assert (known.name, known.engine, known.vouched) == ("given", engine, Vouched.IMPORTED)
    assert {entry.path for entry in known.files} == set(files)
    assert languages_of(find_model("given", tmp_path / "models", engine=engine)) == ("de",)
    verify("given", tmp_path / "models")


@pytest.mark.parametrize(("file", "pack"), [("m.tar.bz2", tar_of), ("m.zip", zip_of), ("m.tar.gz", tar_of)])
def test_an_archive_is_called_as_its_file(tmp_path: Path, file: str, pack: type) -> None:
    (tmp_path / file).write_bytes(pack(VOSK))
    known = import_model(tmp_path / file, tmp_path / "models")
    assert (known.name, known.engine) == ("m", "vosk")
    assert [entry.path for entry in known.downloads] == [file]


def test_links_in_a_folder_are_followed_and_hidden_files_left_out(tmp_path: Path) -> None:
    blobs, given = folder_of(WHISPER, tmp_path / "blobs"), folder_of({".gitattributes": b""}, tmp_path / "given")
    for name in WHISPER:
        (given / name).symlink_to(blobs / name)
    known = import_model(given, tmp_path / "models")
    assert {entry.path for entry in known.files} == set(WHISPER)
    assert not any(path.is_symlink() for path in (tmp_path / "models").rglob("*"))


@pytest.mark.parametrize("name", [None, "mine", "zipformer-en-20m"])
def test_an_archive_of_the_catalogue_is_held_to_its_checksum_however_it_will_be_called(
    tmp_path: Path, name: str | None
) -> None:
    model = next(model for model in catalogue.CATALOGUE if model.archived and model.files[0].sha256)
    (tmp_path / model.files[0].name).write_bytes(tar_of(SHERPA))
    with pytest.raises(ModelBroken, match="does not have the published checksum"):
        import_model(tmp_path / model.files[0].name, tmp_path / "models", name=name)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model of the catalogue that is small enough to be there: its archive is of SHERPA."""
    content = tar_of(SHERPA)
    file = File("https://models.example/tiny-2024.tar.bz2", len(content), sha256(content))
    model = Model("tiny", "sherpa", ("fr",), "MIT", "https://models.example", (file,))
    monkeypatch.setattr(catalogue, "CATALOGUE", (*catalogue.CATALOGUE, model))
    return model


@pytest.mark.parametrize(("file", "name"), [("tiny-2024.tar.bz2", "mine"), ("renamed.tar.bz2", "tiny")])
def test_an_archive_of_the_catalogue_is_known_by_its_file_or_by_the_name_it_is_given(
    tmp_path: Path, published: Model, file: str, name: str
) -> None:
    (tmp_path / file).write_bytes(tar_of(SHERPA))
    known = import_model(tmp_path / file, tmp_path / "models", name=name)
    assert (known.name, known.languages, known.licence, known.vouched) == (name, ("fr",), "MIT", Vouched.PUBLISHED)
    assert [entry.path for entry in known.downloads] == ["tiny-2024.tar.bz2"]
    assert is_current(published, tmp_path / "models") == (name == "tiny")


def test_another_archive_may_take_a_name_of_the_catalogue_and_is_not_pulled_over(
    tmp_path: Path, published: Model
) -> None:
    (tmp_path / "ours.tar.bz2").write_bytes(tar_of({**SHERPA, "tokens.txt": b"<blk> 0\nours 1\n"}))
    known = import_model(tmp_path / "ours.tar.bz2", tmp_path / "models", name="tiny")
    assert known.vouched is Vouched.IMPORTED
    assert is_current(published, tmp_path / "models")


def test_an_archive_of_the_catalogue_without_one_takes_its_row(tmp_path: Path) -> None:
    model = next(model for model in catalogue.CATALOGUE if model.archived and not model.files[0].sha256)
    (tmp_path / model.files[0].name).write_bytes(zip_of(VOSK))
    known = import_model(tmp_path / model.files[0].name, tmp_path / "models")
    assert (known.name, known.languages, known.licence) == (model.name, model.languages, model.licence)


def test_an_engine_of_another_package_may_have_files_that_nobody_knows(tmp_path: Path) -> None:
    given = folder_of({"weights": b""}, tmp_path / "given")
    assert import_model(given, tmp_path / "models", engine="theirs").engine == "theirs"


def test_a_folder_that_cannot_be_copied_is_one_sentence(tmp_path: Path) -> None:
    given = folder_of(SHERPA, tmp_path / "given")
    (given / "gone.onnx").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelBroken, match=r"given cannot be copied: .*No such file or directory: .*gone\.onnx"):
        import_model(given, tmp_path / "models")
    assert list_pulled(tmp_path / "models") == {}


@pytest.mark.parametrize("as_archive", [True, False])
def test_a_file_whose_name_is_no_text_is_one_sentence(tmp_path: Path, as_archive: bool) -> None:
    files = {**SHERPA, os.fsdecode(b"caf\xe9.onnx"): b""}
    given = folder_of(files, tmp_path / "given")
    if as_archive:
        given = tmp_path / "m.tar.bz2"
        given.write_bytes(tar_of(files))
    with pytest.raises(ModelBroken, match=r"^The file name b'caf\\xe9.onnx' is not UTF-8: rename it\.$"):
        import_model(given, tmp_path / "models")
    assert list_pulled(tmp_path / "models") == {}


def test_an_archive_whose_own_name_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    given = tmp_path / os.fsdecode(b"\xe9.tar.bz2")
    given.write_bytes(tar_of(SHERPA))
    with pytest.raises(ModelBroken, match="is not UTF-8"):
        import_model(given, tmp_path / "models", name="mine")


def test_an_archive_that_may_not_be_read_is_what_cannot_be_used(tmp_path: Path) -> None:
    given = tmp_path / "m.tar.bz2"
    given.write_bytes(tar_of(SHERPA))

    def refuse(what: str, done_bytes: int, total_bytes: int) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(given))

    with pytest.raises(ModelBroken, match=r"m\.tar\.bz2 cannot be used: Permission denied\.$"):
        import_model(given, tmp_path / "models", tell=refuse)


def test_a_disk_that_fills_up_is_told_and_nothing_is_said_of_fetching(tmp_path: Path) -> None:
    def fill_up(what: str, done_bytes: int, total_bytes: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "m.zip").write_bytes(zip_of(VOSK))
    with pytest.raises(ModelBroken, match=r"^The disk of .* is full\.$"):
        import_model(tmp_path / "m.zip", tmp_path / "models", tell=fill_up)


@pytest.mark.parametrize(
    ("path", "options", "sentence"),
    [
        ("none", {}, "does not exist"),
        ("odd", {}, "holds no model for sherpa, vosk or whisper: give its engine by --engine"),
        ("given", {"engine": "vosk"}, "holds a model for sherpa, not for vosk"),
        ("given", {"name": "../up"}, "cannot name a model"),
        ("given", {"name": "taken"}, "There is a model taken already: scribewire models remove taken"),
        ("given/tokens.txt", {"name": "new"}, "cannot be unpacked"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing(
    tmp_path: Path, path: str, options: dict[str, str], sentence: str
) -> None:
    folder_of(SHERPA, tmp_path / "given")
    folder_of({"readme": b""}, tmp_path / "odd")
    (tmp_path / "models" / "taken").mkdir(parents=True)
    with pytest.raises(ModelBroken, match=sentence):
        import_model(tmp_path / path, tmp_path / "models", name=options.get("name"), engine=options.get("engine"))
    assert {entry.name for entry in (tmp_path / "models").iterdir()} <= {"taken", ".pulls"}
    assert not staging.has_leftovers(tmp_path / "models", options.get("name", path))
