"""Commands against a service that says what a test tells it to: what they print, where, and their exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection

from scribewire import __version__
from scribewire.cli import app
from scribewire.settings import table
from tests.cli.run import run, spawn
from tests.client.fake_service import LISTENING, READY, SCALED_DOWN, Answer, FakeService, running

pytestmark = pytest.mark.e2e

STATUS = "GET /api/v4/realtime/status"
INITIALIZE = "POST /api/v4/realtime/initialize"
UP: dict[str, Answer] = {STATUS: (200, READY), INITIALIZE: (200, READY)}


def hears_speech() -> FakeService:
    """A service that answers audio with one partial and one final."""

    async def talk(connection: ServerConnection) -> None:
        await service.hear(connection)
        await connection.send(LISTENING)
        frame = await connection.recv()
        assert isinstance(frame, bytes)
        service.audio += frame
        await connection.send('{"text":"hi how","is_final":false,"offset_ms":100,"stability":0.5}')
        await service.end(connection, '{"text":"hi how are you","is_final":true,"offset_ms":200,"words":[]}')

    service = FakeService(talk, dict(UP))
    return service


async def test_version_prints_the_version(tmp_path: Path) -> None:
    ran = await run("version", data_dir=tmp_path)
    assert (ran.code, ran.out) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "serve",
        "worker",
        "status",
        "initialize",
        "transcribe",
        "keys",
        "keys create",
        "keys list",
        "sessions",
        "demo",
    ],
)
def test_every_command_has_a_help(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="scribewire")
    assert shown.exit_code == 0
    assert f"Usage: scribewire {command}".strip() in shown.output


async def test_a_command_waits_for_no_library_that_only_others_need(tmp_path: Path) -> None:
    for name in ("httpx", "websockets", "msgspec", "pydantic_settings", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})")
    ran = await run("version", data_dir=tmp_path, PYTHONPATH=str(tmp_path))
    assert ran.code == 0, ran.err


def test_a_command_that_does_not_exist_is_told_which_is_meant() -> None:
    shown = CliRunner().invoke(app, ["transcribes"], prog_name="scribewire")
    assert shown.exit_code == 2
    assert "Did you mean 'transcribe'?" in shown.output


def test_the_help_of_serve_lists_every_setting() -> None:
    shown = CliRunner().invoke(app, ["serve", "--help"])
    assert [row.name for row in table() if row.variable not in shown.output] == []
    assert "where port in [server] is server.port" in shown.output


async def test_status_is_shown_and_as_json(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        service.answers[STATUS] = (200, SCALED_DOWN)
        shown = await run("status", data_dir=tmp_path, SCRIBEWIRE_URL=service.url, SCRIBEWIRE_KEY="k")
        as_json = await run("status", "--json", "--url", service.url, "--key", "k", data_dir=tmp_path)
    assert shown.out.splitlines() == [f"scaled_down  {SCALED_DOWN['message']}", service.endpoint]
    assert json.loads(as_json.out) == {**SCALED_DOWN, "endpoint": service.endpoint}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("status",), "error: No key: set SCRIBEWIRE_KEY or pass --key"),
        (("status", "--key", "k", "--url", "http://127.0.0.1:9"), "error: Nothing answers at http://127.0.0.1:9."),
        (("transcribe", "none.wav", "--key", "k"), "error: none.wav cannot be read: No such file or directory."),
        (("serve", "--port", "70000"), "error: server.port (from the command line) is not valid"),
        (("serve", "--config", "none.toml"), "error: none.toml cannot be read: No such file or directory."),
    ],
)
async def test_a_failure_is_one_sentence_on_standard_error(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    ran = await run(*arguments, data_dir=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(sentence)
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker", "--listen", "unix:never.sock")])
async def test_an_engine_that_is_not_there_is_told_before_anything_starts(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    ran = await run(*command, data_dir=tmp_path, SCRIBEWIRE_ENGINES__EN__FAST="sphinx:x")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: engines.en.fast is sphinx:x: There is no engine 'sphinx'")


async def test_the_first_key_and_the_address_are_found_in_the_data_folder(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        (tmp_path / "admin.key").write_text("found\n")
        (tmp_path / "serve.json").write_text(json.dumps({"url": service.url, "pid": 1}))
        ran = await run("status", data_dir=tmp_path)
    assert ran.code == 0, ran.err
    assert service.calls[0][1]["x-zoom-s2t-key"] == "found"


async def test_the_first_key_is_shown_to_no_other_machine(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("found\n")
    ran = await run("status", "--url", "http://service.invalid", data_dir=tmp_path)
    assert ran.err.startswith("error: No key")


async def test_transcribe_initializes_and_prints_finals_only_where_there_is_no_terminal(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        ran = await run("transcribe", "-", "--url", service.url, "--key", "k", data_dir=tmp_path, stdin=bytes(6_400))
    assert (ran.code, ran.out) == (0, "hi how are you\n"), ran.err
    assert [call for call, _, _ in service.calls] == [INITIALIZE, STATUS]
    assert service.said[0] == {"action": "start", "partial": False, "actual_numbers": False}
    assert bytes(service.audio) == bytes(6_400)


async def test_transcribe_as_jsonl_prints_partials_and_finals_as_the_wire_has_them(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        arguments = ("transcribe", "-", "--format", "jsonl", "--type", "quality", "--url", service.url, "--key", "k")
        ran = await run(*arguments, data_dir=tmp_path, stdin=bytes(6_400))
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"text": "hi how", "is_final": False, "offset_ms": 100, "stability": 0.5},
        {"text": "hi how are you", "is_final": True, "offset_ms": 200, "words": []},
    ]
    assert service.upgrades[0][0].endswith("?type=quality")


async def test_transcribe_passes_on_what_is_asked_of_the_text(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        asked = ("--numbers", "--vocabulary", "Scribewire", "--vocabulary", "half past")
        arguments = ("transcribe", "-", *asked, "--url", service.url, "--key", "k")
        ran = await run(*arguments, data_dir=tmp_path, stdin=bytes(6_400))
    assert ran.code == 0, ran.err
    assert service.said[0] == {
        "action": "start",
        "partial": False,
        "actual_numbers": True,
        "vocabulary": ["Scribewire", "half past"],
    }


async def test_on_a_terminal_the_partial_grows_under_the_finals(tmp_path: Path) -> None:
    terminal, inner = pty.openpty()
    async with running(hears_speech()) as service:
        arguments = ("transcribe", "-", "--url", service.url, "--key", "k")
        process = await spawn(*arguments, data_dir=tmp_path, terminal=inner)
        os.close(inner)
        await asyncio.wait_for(process.communicate(bytes(6_400)), 30)
    shown = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert service.said[0]["partial"] is True
    assert shown.index("hi how") < shown.index("hi how are you\r\n")


async def test_a_key_that_may_not_initialize_is_told_the_contracts_sentence(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        service.answers[INITIALIZE] = (403, {"detail": "Not enough permissions"})
        service.answers[STATUS] = (200, SCALED_DOWN)
        ran = await run("transcribe", "-", "--url", service.url, "--key", "k", data_dir=tmp_path)
    assert ran.code == 1
    assert f"error: {SCALED_DOWN['message']}" in ran.err
    assert not service.upgrades


async def test_a_key_that_may_not_initialize_transcribes_when_the_service_is_up(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        service.answers[INITIALIZE] = (403, {"detail": "Not enough permissions"})
        ran = await run("transcribe", "-", "--url", service.url, "--key", "k", data_dir=tmp_path, stdin=bytes(6_400))
    assert (ran.code, ran.out) == (0, "hi how are you\n"), ran.err


async def test_ctrl_c_sends_stop_and_prints_the_rest(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        arguments = ("transcribe", "-", "--format", "jsonl", "--url", service.url, "--key", "k")
        process = await spawn(*arguments, data_dir=tmp_path)
        assert process.stdin
        assert process.stdout
        process.stdin.write(bytes(6_400))
        first = await asyncio.wait_for(process.stdout.readline(), 30)
        process.send_signal(signal.SIGINT)
        rest = await asyncio.wait_for(process.stdout.read(), 30)
        await asyncio.wait_for(process.wait(), 30)
    assert b"hi how" in first
    assert b"hi how are you" in rest
    assert process.returncode == 130
    assert service.said[-1] == {"action": "stop"}


async def test_transcribe_at_the_pace_of_speech_takes_as_long_as_the_speech(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        began = asyncio.get_running_loop().time()
        arguments = ("transcribe", "-", "--pace", "realtime", "--url", service.url, "--key", "k")
        ran = await run(*arguments, data_dir=tmp_path, stdin=bytes(32_000))
        took_s = asyncio.get_running_loop().time() - began
    assert ran.code == 0
    assert took_s >= 1.0
    assert len(service.audio) == 32_000


async def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    async with running(hears_speech()) as service:
        service.answers |= {
            "POST /api/v4/keys": (201, {"id": "k2", "key": "secret"}),
            "GET /api/v4/keys": (200, [{"id": "k2", "name": "phone", "scopes": ["realtime"], "expires_at": None}]),
            "DELETE /api/v4/keys/k2": (204, None),
        }
        options = ("--url", service.url, "--key", "k")
        made = await run("keys", "create", "phone", "--scope", "realtime", *options, data_dir=tmp_path)
        listed = await run("keys", "list", *options, data_dir=tmp_path)
        revoked = await run("keys", "revoke", "k2", *options, data_dir=tmp_path)
    assert made.out == "secret\n"
    assert listed.out.splitlines()[1].split() == ["k2", "phone", "-", "realtime", "-", "-", "-"]
    assert revoked.code == 0


async def test_a_command_whose_extra_is_missing_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pydantic_settings.py").write_text("raise ModuleNotFoundError(name='pydantic_settings')")
    ran = await run("serve", data_dir=tmp_path, PYTHONPATH=str(tmp_path))
    assert ran.code == 1
    expected = "error: scribewire serve needs more than the base install: pip install 'scribewire[server]'\n"
    assert ran.err == expected


async def test_the_base_install_needs_nothing_of_the_server(tmp_path: Path) -> None:
    for name in ("pydantic_settings", "fastapi", "sqlalchemy", "uvicorn", "numpy", "av", "pocketsphinx", "onnxruntime"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})")
    async with running(hears_speech()) as service:
        arguments = ("transcribe", "-", "--url", service.url, "--key", "k")
        ran = await run(*arguments, data_dir=tmp_path, stdin=bytes(6_400), PYTHONPATH=str(tmp_path))
        listed = await run("serve", "--help", data_dir=tmp_path, PYTHONPATH=str(tmp_path))
    assert (ran.code, ran.out) == (0, "hi how are you\n"), ran.err
    assert listed.code == 0
