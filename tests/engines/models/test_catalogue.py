"""The catalogue's rows: each can be pulled as it stands."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from scribewire.engines.models import catalogue, staging
from scribewire.engines.models.catalogue import CATALOGUE
from scribewire.engines.models.model import Model, Vouched


def test_names_are_unique_and_may_be_folders() -> None:
    names = [model.name for model in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(map(staging.is_name, names))
    assert {model.engine for model in CATALOGUE} == {"sherpa", "vosk", "whisper"}


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_a_row_is_complete(model: Model) -> None:
    assert model.archived or len(model.files) > 1
    assert model.licence
    assert len({file.name for file in model.files}) == len(model.files)
    for file in model.files:
        assert urlsplit(file.url).scheme == "https"
        assert file.size_bytes > 0
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert urlsplit(model.page).scheme == "https"


def test_a_row_without_a_checksum_rests_on_its_first_use() -> None:
    vouched = {model.name: model.vouched for model in CATALOGUE}
    assert vouched["zipformer-en"] is Vouched.PUBLISHED
    assert vouched["vosk-en"] is Vouched.FIRST_USE


def test_a_mirror_can_hold_all_of_it() -> None:
    paths = [urlsplit(file.url).path for model in CATALOGUE for file in model.files]
    assert len(set(paths)) == len(paths)


def test_a_row_is_found_by_its_name_and_by_its_archive() -> None:
    model = catalogue.find("vosk-small-de")
    assert model is not None
    assert catalogue.find_archive("vosk-model-small-de-0.15.zip") is model
    assert catalogue.find("unheard-of") is None
    assert catalogue.find_archive("model.bin") is None
