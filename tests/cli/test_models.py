"""The commands about models, as processes, against a mirror that is a real server."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scribewire.cli import app
from tests.cli.run import run
from tests.engines.models.source import SHERPA, VOSK, Served, Source, serving, zip_of

pytestmark = pytest.mark.e2e

NAME = "vosk-en-lgraph"
PATH = "/vosk/models/vosk-model-en-us-0.22-lgraph.zip"


@pytest.fixture
def mirror() -> Iterator[Source]:
    with serving() as running:
        running.paths["/mirror" + PATH] = Served(zip_of(VOSK))
        yield running


@pytest.mark.parametrize("command", ["", "list", "pull", "verify", "remove", "import"])
def test_every_command_has_a_help(command: str) -> None:
    shown = CliRunner().invoke(app, ["models", *command.split(), "--help"], prog_name="scribewire")
    assert shown.exit_code == 0
    assert f"Usage: scribewire models {command}".strip() in shown.output


async def test_a_model_is_pulled_listed_verified_and_removed(tmp_path: Path, mirror: Source) -> None:
    mirror_url = f"{mirror.url}/mirror/"
    pulled = await run("models", "pull", NAME, data_dir=tmp_path, SCRIBEWIRE_ENGINES__MIRROR_URL=mirror_url)
    assert (pulled.code, pulled.out) == (0, ""), pulled.err
    assert f"Licence of {NAME}: Apache-2.0" in pulled.err
    assert "vosk-model-en-us-0.22-lgraph.zip: 100 % of" in pulled.err
    assert f'{NAME} is pulled, its checksum on first use. To use it: engines.en.fast = "vosk:{NAME}"' in pulled.err
    assert (tmp_path / "models" / NAME / "am" / "final.mdl").read_bytes() == VOSK["am/final.mdl"]

    once_more = await run("models", "pull", NAME, data_dir=tmp_path)
    assert (once_more.code, once_more.err) == (0, f"{NAME} is there already.\n")
    assert len(mirror.asked) == 1

    listed = await run("models", "list", "--json", data_dir=tmp_path)
    rows = {row["name"]: row for row in json.loads(listed.out)}
    assert (rows[NAME]["here"], rows[NAME]["checksum"]) == ("pulled", "on first use")
    assert (rows["zipformer-en"]["here"], rows["zipformer-en"]["checksum"]) == ("", "published")

    verified = await run("models", "verify", data_dir=tmp_path)
    assert (verified.code, verified.out) == (0, f"{NAME}: 3 files as they were pulled, checksum on first use\n")
    (tmp_path / "models" / NAME / "am" / "final.mdl").write_bytes(b"xxx")
    damaged = await run("models", "verify", NAME, data_dir=tmp_path)
    assert damaged.code == 1
    assert f"error: The model {NAME} is damaged: am/final.mdl has another checksum." in damaged.err

    removed = await run("models", "remove", NAME, data_dir=tmp_path)
    assert (removed.code, removed.err) == (0, f"{NAME} is removed.\n")
    assert not (tmp_path / "models" / NAME).exists()


async def test_the_table_says_what_each_checksum_rests_on(tmp_path: Path) -> None:
    listed = await run("models", "list", data_dir=tmp_path)
    lines = {line.split()[0]: line for line in listed.out.splitlines()}
    assert lines["vosk-small-de"].split()[1:] == ["vosk", "de", "46.5", "MB", "Apache-2.0", "published"]
    assert lines["vosk-en"].rstrip().endswith("on first use")


async def test_a_folder_is_imported(tmp_path: Path) -> None:
    for name, content in SHERPA.items():
        (tmp_path / "given" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "given" / name).write_bytes(content)
    given = str(tmp_path / "given")
    imported = await run("models", "import", given, "--name", "mine", "--language", "en", data_dir=tmp_path)
    assert imported.code == 0, imported.err
    hint = imported.err.partition("mine is imported. To use it: ")[2]
    assert tomllib.loads(hint) == {"engines": {"en": {"fast": "sherpa:mine"}}}
    listed = await run("models", "list", data_dir=tmp_path)
    assert listed.out.splitlines()[-1].split()[:3] == ["mine", "sherpa", "en"]


async def test_a_name_that_nobody_knows_is_one_sentence(tmp_path: Path) -> None:
    ran = await run("models", "pull", "unheard-of", data_dir=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "error: There is no model 'unheard-of' in the catalogue: scribewire models list shows what there is.\n"
    )
