"""What engines are told of a model that is not there, is damaged, or is another engine's; verify and remove."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scribewire.engines.models import find_model, languages_of, manifest
from scribewire.engines.models.folder import is_whole, list_pulled, remove, verify
from scribewire.engines.models.importing import import_model
from scribewire.errors import EngineMissing, ModelBroken
from tests.engines.models.source import SHERPA


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A folder of models with one in it: mine, for sherpa."""
    given = tmp_path / "given"
    for name, content in SHERPA.items():
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        (given / name).write_bytes(content)
    import_model(given, tmp_path / "models", name="mine", languages=("en", "de"))
    return tmp_path / "models"


def test_a_pulled_model_is_found(models_dir: Path) -> None:
    assert find_model("mine", models_dir, engine="sherpa") == models_dir / "mine"
    assert languages_of(models_dir / "mine") == ("en", "de")


def test_a_path_is_used_as_it_is(models_dir: Path) -> None:
    given = models_dir.parent / "given"
    assert find_model(str(given), models_dir, engine="vosk") == given
    assert languages_of(given) == ()
    with pytest.raises(EngineMissing, match=r"There is no folder \./none for the vosk engine"):
        find_model("./none", models_dir, engine="vosk")


@pytest.mark.parametrize(
    ("name", "engine", "sentence"),
    [
        ("zipformer-en", "sherpa", r"is not pulled: scribewire models pull zipformer-en$"),
        ("zipformer-en", "vosk", r"The model zipformer-en is for sherpa, not for vosk\."),
        ("unheard-of", "sherpa", r"not in the catalogue .*: scribewire models import PATH --name unheard-of$"),
        ("", "sherpa", r"scribewire models import PATH --name NAME$"),
        ("..", "sherpa", r"is not pulled"),
        ("mine", "vosk", r"The model mine is for sherpa, not for vosk\."),
    ],
)
def test_a_model_that_is_not_there_is_named_with_what_mends_it(
    models_dir: Path, name: str, engine: str, sentence: str
) -> None:
    with pytest.raises(EngineMissing, match=sentence):
        find_model(name, models_dir, engine=engine)


def test_a_missing_file_and_another_size_are_damage(models_dir: Path) -> None:
    (models_dir / "mine" / "tokens.txt").write_bytes(b"longer than it was")
    with pytest.raises(
        EngineMissing, match=r"damaged \(tokens.txt has 18 bytes, not 8\)\. See scribewire models verif"
    ):
        find_model("mine", models_dir, engine="sherpa")
    (models_dir / "mine" / "tokens.txt").unlink()
    with pytest.raises(EngineMissing, match=r"damaged \(tokens.txt is missing\)"):
        find_model("mine", models_dir, engine="sherpa")
    assert not is_whole(models_dir / "mine")


def test_a_manifest_that_cannot_be_read_is_damage(models_dir: Path) -> None:
    (models_dir / "mine" / manifest.MANIFEST_FILE).write_text("{}")
    with pytest.raises(EngineMissing, match="manifest of the model mine cannot be read"):
        find_model("mine", models_dir, engine="sherpa")
    assert languages_of(models_dir / "mine") == ()
    assert list_pulled(models_dir) == {"mine": None}


def test_a_folder_that_somebody_put_there_is_not_taken_for_a_model(models_dir: Path) -> None:
    (models_dir / "byhand").mkdir()
    with pytest.raises(EngineMissing, match="has no manifest: give its path"):
        find_model("byhand", models_dir, engine="sherpa")


def test_verify_finds_what_sizes_do_not_show(models_dir: Path) -> None:
    assert len(verify("mine", models_dir).files) == len(SHERPA)
    (models_dir / "mine" / "tokens.txt").write_bytes(b"x" * len(SHERPA["tokens.txt"]))
    assert is_whole(models_dir / "mine")
    with pytest.raises(ModelBroken, match=r"tokens.txt has another checksum\. Pull it again: scribewire models remove"):
        verify("mine", models_dir)


def test_verify_finds_what_was_not_pulled(models_dir: Path) -> None:
    (models_dir / "mine" / "extra.onnx").write_bytes(b"")
    with pytest.raises(ModelBroken, match=r"extra.onnx was not pulled"):
        verify("mine", models_dir)
    with pytest.raises(ModelBroken, match="is not pulled"):
        verify("none", models_dir)


def test_a_model_is_removed_whole(models_dir: Path) -> None:
    remove("mine", models_dir)
    assert list_pulled(models_dir) == {}
    assert list((models_dir / ".pulls").iterdir()) == [models_dir / ".pulls" / "mine.lock"]
    for name in ("mine", "..", ".pulls"):
        with pytest.raises(ModelBroken, match="is not pulled"):
            remove(name, models_dir)


@pytest.mark.e2e
def test_an_engine_that_looks_for_a_model_loads_nothing_of_the_network() -> None:
    code = "import sys, scribewire.engines.models; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"httpx", "rich.console", "typer", "numpy"} & set(loaded) == set()
