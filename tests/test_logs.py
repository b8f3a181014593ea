"""Logs: one line an event whatever is in it, and nothing of what others say of URLs."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from scribewire.logs import configure_logs

log = logging.getLogger("scribewire.gateway.tests")
NAMES = ("", "scribewire", "uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(one.level, one.disabled, one.handlers[:]) for one in loggers]
    yield
    for one, (level, disabled, handlers) in zip(loggers, before, strict=True):
        one.setLevel(level)
        one.disabled = disabled
        one.handlers[:] = handlers


def configured(*, log_format: str = "text", log_level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logs(log_format=log_format, log_level=log_level, stream=stream)
    return stream


def break_something() -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("it broke", extra={"session_id": "s1"})


def test_a_json_line_is_one_object_with_its_attributes() -> None:
    stream = configured(log_format="json")
    log.info("session ended", extra={"session_id": "s1", "audio_s": 1.5, "error_code": None})
    row = json.loads(stream.getvalue())
    assert row.pop("at").endswith("+00:00")
    assert row == {
        "level": "info",
        "logger": "scribewire.gateway.tests",
        "message": "session ended",
        "session_id": "s1",
        "audio_s": 1.5,
    }


def test_an_exception_stays_within_its_json_line() -> None:
    stream = configured(log_format="json")
    break_something()
    (line,) = stream.getvalue().splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_a_text_line_is_a_sentence_and_its_attributes() -> None:
    stream = configured()
    log.warning("session ended", extra={"session_id": "s1", "audio_s": 1.5})
    assert stream.getvalue()[13:] == "warning session ended session_id=s1 audio_s=1.5\n"


def test_an_exception_follows_its_text_line() -> None:
    stream = configured()
    break_something()
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("it broke session_id=s1")
    assert rest[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_attribute_makes_a_line_of_its_own(log_format: str) -> None:
    stream = configured(log_format=log_format)
    log.info("request", extra={"reason": 'a\n12:00:00.000 info    forged "x"\x1b[31m'})
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_only_lines_from_the_set_level_on_are_written() -> None:
    stream = configured(log_level="warning")
    log.info("not this")
    log.warning("but this")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access", "sqlalchemy.engine", "aiosqlite", "websockets"])
def test_others_say_nothing_below_a_warning_even_when_we_say_all(name: str) -> None:
    stream = configured(log_level="debug")
    logging.getLogger(name).info('"WebSocket /v2/realtime?token=sw_secret" [accepted]')
    assert stream.getvalue() == ""


def test_configuring_twice_writes_once() -> None:
    configured()
    stream = configured()
    log.info("once")
    assert stream.getvalue().count("once") == 1
