"""Write the generated parts of docs/ from the code: `make docs`. With --check, only say which are stale."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from typer.testing import CliRunner

from scribewire import errors, metrics, settings
from scribewire.cli import app
from scribewire.core import transitions

DOCS = Path(__file__).resolve().parent.parent / "docs"


def settings_table() -> str:
    """A table for each group of settings."""
    parts = []
    groups: dict[str, list[settings.SettingRow]] = {}
    for row in settings.table():
        groups.setdefault(row.name.rpartition(".")[0], []).append(row)
    for group, rows in groups.items():
        cells = [
            (
                f"`{row.name}`<br>`{row.variable}`",
                ", ".join(part for part in (row.type, row.bounds, row.unit) if part),
                f"`{row.default}`" if row.default else "empty",
                row.sentence,
            )
            for row in rows
        ]
        parts.append(
            f"## {group or 'Top level'}\n\n" + _table(("setting", "type, bounds, unit", "default", "meaning"), cells)
        )
    return "\n\n".join(parts)


def errors_table() -> str:
    """Every error, with what the wire does about it."""
    return _table(
        ("code", "sentence", "HTTP", "close code", "try again"),
        (
            (
                f"`{row.code}`",
                row.sentence,
                str(row.http_status),
                "stays open" if row.close_code is None else str(row.close_code),
                "yes" if row.retryable else "no",
            )
            for row in errors.table()
        ),
    )


def metrics_table() -> str:
    """Every metric of a gateway."""
    return _table(
        ("metric", "kind", "labels", "bucket edges", "meaning"),
        (
            (
                f"`{row.name}`",
                row.kind,
                ", ".join(f"`{label}`" for label in row.labels),
                ", ".join(f"{edge:g}" for edge in row.buckets),
                row.sentence,
            )
            for row in metrics.table()
        ),
    )


def transitions_table() -> str:
    """What each event does in each state."""
    states = [state for state in transitions.State if state is not transitions.State.CLOSED]
    return _table(
        ("event", *(state.name for state in states)),
        (
            (f"`{event.__name__}`", *(_words(cells.get(state, "")) for state in states))
            for event, cells in transitions.TABLE.items()
        ),
    )


def timers_table() -> str:
    """What a session does when it has waited long enough."""
    return _table(
        ("timer", "does"),
        ((timer.value, _words(action)) for timer, action in transitions.ON_TIMER.items()),
    )


def claps_engine() -> str:
    """The example of an engine, whole."""
    return f"```python\n{(DOCS / 'examples' / 'claps.py').read_text(encoding='utf-8')}```"


def simulated_day() -> str:
    """What the command on the page prints."""
    page = (DOCS / "scaling.md").read_text(encoding="utf-8")
    command = re.findall(r"^scribewire (simulate .*) --plot .*$", page, re.MULTILINE)[0]
    shown = CliRunner().invoke(app, command.split(), catch_exceptions=False)
    return f"```\n{shown.stdout}```"


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "settings.md": {"settings": settings_table},
    "errors.md": {"errors": errors_table},
    "engines.md": {"claps": claps_engine},
    "metrics.md": {"metrics": metrics_table},
    "scaling.md": {"day": simulated_day},
    "sessions.md": {"transitions": transitions_table, "timers": timers_table},
}


def rendered(page: str) -> str:
    """Give a page with its generated blocks as the code has them now."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, render in BLOCKS[page].items():
        begin, end = f"<!-- begin {name}: written by make docs -->", f"<!-- end {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"docs/{page} has no block {name}")
        text = f"{before}{begin}\n\n{render()}\n\n{end}{after}"
    return text


def stale() -> list[str]:
    """Give the pages that no longer say what the code says."""
    return [page for page in BLOCKS if rendered(page) != (DOCS / page).read_text(encoding="utf-8")]


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or check them."""
    pages = stale()
    if "--check" in arguments:
        for page in pages:
            print(f"docs/{page} is stale: run make docs", file=sys.stderr)
        return 1 if pages else 0
    for page in pages:
        (DOCS / page).write_text(rendered(page), encoding="utf-8")
        print(f"docs/{page} written")
    return 0


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _words(action: str) -> str:
    return action.replace("_", " ") or "–"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
