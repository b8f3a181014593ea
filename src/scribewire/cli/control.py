"""The commands of the control plane: `status`, `initialize`, `keys`, `sessions`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from scribewire.cli.local import DataDir, Key, Url, client_of
from scribewire.cli.terminal import out, say, waiting_for
from scribewire.client import Client, Status
from scribewire.errors import NotPermitted, ScaledDown

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Scope(StrEnum):
    """What a key may do."""

    ADMIN = "admin"
    REALTIME = "realtime"


# What fits a terminal; --json has the rest.
_KEY_COLUMNS = ("id", "name", "prefix", "scopes", "expires_at", "revoked_at", "max_sessions")
_SESSION_COLUMNS = ("session_id", "key_id", "started_at", "language", "type", "audio_ms", "words", "close_code")

keys = typer.Typer(help="Make, list and revoke keys.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(initialize)
    app.add_typer(keys, name="keys")
    app.command()(sessions)


def call(ask: Callable[[Client], Awaitable[T]], url: str | None, key: str | None, data_dir: Path | None) -> T:
    """Ask one thing of the service that the options mean."""

    async def asking() -> T:
        async with client_of(url, key, data_dir) as client:
            return await ask(client)

    return asyncio.run(asking())


async def make_ready(client: Client) -> Status:
    """Initialize when the key may; else look, and raise ScaledDown when somebody who may must do it first."""
    try:
        with waiting_for("Waiting for the service to be ready"):
            return await client.initialize()
    except NotPermitted:
        status = await client.status()
        if status.status == "scaled_down":
            raise ScaledDown(status.message) from None
        return status


def status(*, as_json: Json = False, url: Url = None, key: Key = None, data_dir: DataDir = None) -> None:
    """Show whether the service is ready, starting or scaled down."""
    _show_status(call(Client.status, url, key, data_dir), as_json=as_json)


def initialize(*, as_json: Json = False, url: Url = None, key: Key = None, data_dir: DataDir = None) -> None:
    """Start workers if there are none, and wait until the service is ready. Needs a key with the scope admin."""
    with waiting_for("Initializing"):
        answer = call(Client.initialize, url, key, data_dir)
    _show_status(answer, as_json=as_json)


def _show_status(status: Status, *, as_json: bool) -> None:
    if as_json:
        _print_json(
            {"status": status.status, "message": status.message, "endpoint": status.endpoint, "ready": status.ready}
        )
        return
    colour = {"ready": "green", "starting": "yellow"}.get(status.status, "red")
    out.print(Text.assemble((status.status, f"bold {colour}"), f"  {status.message}"))
    out.print(Text(status.endpoint))


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    *,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give it twice for both.")] = [Scope.REALTIME],  # noqa: B006 - typer copies it
    expires_at: Annotated[str | None, typer.Option(metavar="TIME", help="When it ends, ISO 8601 in UTC.")] = None,
    max_sessions: Annotated[int | None, typer.Option(min=1, help="Most live sessions at a time.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print its secret, which is shown this once. Needs the scope admin."""
    made = call(
        lambda client: client.create_key(
            name, [str(one) for one in scope], expires_at=expires_at, max_sessions=max_sessions
        ),
        url,
        key,
        data_dir,
    )
    if as_json:
        _print_json(made)
        return
    say(f"Key {made['id']} made. Its secret is shown this once:")
    out.print(Text(str(made["key"])))


@keys.command("list")
def list_keys(*, as_json: Json = False, url: Url = None, key: Key = None, data_dir: DataDir = None) -> None:
    """List the keys, without their secrets. Needs the scope admin."""
    _show_rows(call(Client.keys, url, key, data_dir), _KEY_COLUMNS, "No keys.", as_json=as_json)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")],
    *,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Revoke a key; its live sessions end within seconds. Needs the scope admin."""
    call(lambda client: client.revoke_key(key_id), url, key, data_dir)
    say(f"Key {key_id} revoked.")


def sessions(*, as_json: Json = False, url: Url = None, key: Key = None, data_dir: DataDir = None) -> None:
    """List the reports of past sessions: of all keys with the scope admin, else of one's own."""
    _show_rows(call(Client.sessions, url, key, data_dir), _SESSION_COLUMNS, "No sessions yet.", as_json=as_json)


def _print_json(value: Any) -> None:
    out.print(json.dumps(value, ensure_ascii=False), highlight=False, markup=False)


def _show_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], nothing: str, *, as_json: bool) -> None:
    if as_json:
        _print_json(rows)
        return
    if not rows:
        say(nothing)
        return
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    out.print(table)


def _cell(value: Any) -> Text:
    if value is None:
        return Text("-")
    return Text(", ".join(map(str, value)) if isinstance(value, list) else str(value))
