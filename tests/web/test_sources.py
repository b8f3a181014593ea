"""The shape of the page's own files; it needs no browser."""

from __future__ import annotations

from importlib.resources import files

import pytest

WEB = files("scribewire") / "web"
TEXTS = {
    file.name: file.read_text(encoding="utf-8")
    for file in WEB.iterdir()
    if file.name.endswith((".js", ".css", ".html"))
}
# What turns text into elements or code.
UNSAFE = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser")


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_begins_with_its_charter_and_is_not_too_long(name: str) -> None:
    lines = TEXTS[name].removeprefix("<!doctype html>\n").splitlines()
    assert lines[0].startswith(("// ", "/* ", "<!-- "))
    assert len(lines) <= 500


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_never_made_elements_or_code(name: str) -> None:
    assert [word for word in UNSAFE if word in TEXTS[name]] == []


def test_nothing_but_the_theme_is_stored() -> None:
    stores = ("localStorage", "sessionStorage", "indexedDB", "document.cookie", "caches")
    assert {name for name, text in TEXTS.items() if any(store in text for store in stores)} == {"theme.js"}
