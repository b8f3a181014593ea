"""What the settings choose is checked without loading it, and told by where the settings name it."""

from __future__ import annotations

from typing import Any

import pytest

from scribewire.engines.base import Engine
from scribewire.engines.selection import check, create_all
from scribewire.errors import BadSettings, EngineMissing
from scribewire.settings import Settings


def chosen(**engines: Any) -> Settings:
    return Settings(engines=engines)


def test_what_comes_by_default_is_there() -> None:
    check(Settings())


def test_each_choice_is_built_once_the_default_language_first() -> None:
    settings = chosen(
        default_language="en",
        de={"fast": "scripted:null"},
        en={"fast": "scripted:words", "quality": "scripted:null", "second_pass": "scripted:bands"},
    )
    created = create_all(settings)
    assert list(created) == ["scripted:words", "scripted:null", "scripted:bands"]
    assert all(isinstance(engine, Engine) for engine in created.values())


def test_every_problem_is_named_by_its_setting_in_a_sentence_of_its_own() -> None:
    with pytest.raises(EngineMissing) as caught:
        check(chosen(en={"fast": "sphinx:x", "quality": "scripted:loud", "second_pass": "scripted:null"}))
    first, second = str(caught.value).splitlines()
    assert first.startswith("engines.en.fast is sphinx:x: There is no engine 'sphinx'")
    assert second.startswith("engines.en.quality is scripted:loud: The scripted engine knows no model 'loud'")


@pytest.mark.parametrize("tag", ["de", "auto"])
def test_an_engine_that_does_not_know_the_language_is_refused(tag: str) -> None:
    with pytest.raises(
        BadSettings, match=rf"engines\.{tag}\.fast is scripted:words, which does not know that language"
    ):
        check(chosen(**{tag: {"fast": "scripted:words"}}))


def test_a_region_is_served_by_an_engine_of_its_language() -> None:
    check(chosen(**{"en-gb": {"fast": "scripted:words"}}))
