"""The generated parts of docs/ say what the code says, and links inside the documentation lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import docs  # scripts/docs.py

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def test_no_generated_block_is_stale() -> None:
    assert docs.stale() == [], "run make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
