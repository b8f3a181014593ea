"""Logs: one line an event, a static sentence and its attributes, as text for people or JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

# What every record has; the rest of its members are the attributes that the caller gave.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# uvicorn says at INFO which URL was upgraded, query and credential included, and SQL is nobody's business.
_QUIET: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi")
_SILENT: Final = "uvicorn.access"


def configure_logs(*, log_format: str, log_level: str, stream: TextIO | None = None) -> None:
    """Write our own lines from the set level on and everybody else's from WARNING on, to standard error by default."""
    output = logging.StreamHandler(stream or sys.stderr)
    output.setFormatter(JsonLines() if log_format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(logging.WARNING)
    logging.getLogger("scribewire").setLevel(log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(_SILENT).disabled = True


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line; an exception is one string in it."""
        row = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_attributes(record),
        }
        if record.exc_info:
            row["exception"] = self.formatException(record.exc_info)
        return json.dumps(row, default=str, ensure_ascii=False)


class TextLines(logging.Formatter):
    """Time, level, sentence, then `name=value`; values with anything odd in them are quoted as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line, and the lines of an exception after it."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        parts = [at, record.levelname.lower().ljust(7), record.getMessage()]
        parts += [f"{name}={_spell(value)}" for name, value in _attributes(record).items()]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _attributes(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}


def _spell(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and " " not in text and '"' not in text
    return text if plain and text else json.dumps(text, ensure_ascii=True)
