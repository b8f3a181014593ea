"""The engine of docs/engines.md is in the table as the page says to put it there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scribewire.engines import table

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"


@pytest.fixture(scope="session", autouse=True)
def _claps() -> Iterator[None]:
    """Add the row that the page shows; its file is in docs/examples, which pytest puts on the path."""
    [written] = re.findall(r"^    (Row\(.*\)),$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    row = eval(written, {"Row": table.Row})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "ROWS", (*table.ROWS, row))
        yield
