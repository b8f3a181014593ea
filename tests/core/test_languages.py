"""Languages: what a client asked for, resolved against what is configured."""

from __future__ import annotations

import pytest

from scribewire.core.languages import Profile, resolve
from scribewire.errors import UnknownLanguage, UnknownType

CONFIGURED = {
    "en": {"fast": "e:1", "quality": "e:2"},
    "pt-br": {"fast": "e:3", "quality": "e:4"},
    "Custom": {"fast": "e:5", "quality": "e:6"},
    "de": {"fast": "e:7", "quality": ""},
}


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("en-US", "en"),
        ("en_GB", "en"),
        ("pt-BR", "pt-br"),
        ("pt_BR", "pt-br"),
        ("Custom", "Custom"),
        (None, "en"),
        ("", "en"),
    ],
)
def test_a_language_is_its_id_else_its_tag_else_its_primary_subtag(asked: str | None, served: str) -> None:
    assert resolve(language=asked, kind=None, configured=CONFIGURED, default="en") == Profile(served, "fast")


@pytest.mark.parametrize("asked", ["fr", "pt", "pt-PT", "custom", "-", "en\0", "\ud800", "x" * 10_000])
def test_any_other_language_is_unknown(asked: str) -> None:
    with pytest.raises(UnknownLanguage):
        resolve(language=asked, kind="fast", configured=CONFIGURED, default="en")


@pytest.mark.parametrize(("asked", "served"), [("fast", "fast"), ("quality", "quality"), (None, "fast"), ("", "fast")])
def test_a_type_is_fast_unless_it_is_quality(asked: str | None, served: str) -> None:
    assert resolve(language="en", kind=asked, configured=CONFIGURED, default="en").type == served


@pytest.mark.parametrize(("language", "kind"), [("en", "slow"), ("en", "FAST"), ("de", "quality")])
def test_any_other_type_and_one_that_is_not_configured_are_unknown(language: str, kind: str) -> None:
    with pytest.raises(UnknownType):
        resolve(language=language, kind=kind, configured=CONFIGURED, default="en")
