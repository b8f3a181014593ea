"""The commands that bring models onto this machine: `models list`, `pull`, `verify`, `remove`, `import`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table
from rich.text import Text

from scribewire.cli.control import Json
from scribewire.cli.serving import Config, ServiceDataDir, needs_server
from scribewire.cli.terminal import complain, err, out, say
from scribewire.errors import EngineMissing, ModelBroken

if TYPE_CHECKING:
    from scribewire.engines.models.manifest import Manifest
    from scribewire.settings import Settings

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model, as `models list` names it.")]

# Without a terminal, a line whenever this much more of a file is there.
_LINE_EVERY_PERCENT = 10

models = typer.Typer(help="List, pull, verify, remove and import the models that engines load.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(models, name="models")


@models.command("list")
def list_models(*, as_json: Json = False, data_dir: ServiceDataDir = None, config: Config = None) -> None:
    """List the models that can be pulled, and those that are there."""
    models_dir = _settings("list", data_dir, config).models_dir
    from scribewire.engines.models.listing import list_rows

    rows = list_rows(models_dir)
    if as_json:
        out.print(json.dumps([row.as_dict() for row in rows]), highlight=False, markup=False)
        return
    table = Table("name", "engine", "languages", "size", "licence", "checksum", "here", box=None, header_style="bold")
    for row in rows:
        languages = ", ".join(row.languages) or "many"
        cells = (row.name, row.engine, languages, decimal(row.size_bytes), row.licence, row.checksum, row.here)
        table.add_row(*(Text(cell) for cell in cells))
    out.print(table)


@models.command()
def pull(
    name: Name,
    *,
    again: Annotated[bool, typer.Option("--again", help="Pull it though it is there and whole.")] = False,
    data_dir: ServiceDataDir = None,
    config: Config = None,
) -> None:
    """Download a model, check it and put it in place. Broken off, the same command goes on where it stopped."""
    settings = _settings("pull", data_dir, config)
    from scribewire.engines.models import catalogue, folder
    from scribewire.engines.models.pull import pull as pull_model

    model = catalogue.find(name)
    if model is None:
        raise EngineMissing(f"There is no model {name!r} in the catalogue: scribewire models list shows what there is.")
    if not again and folder.is_current(model, settings.models_dir):
        say(f"{name} is there already.")
        return
    if model.licence:
        say(f"Licence of {name}: {model.licence} ({model.page})")
    with _progress() as tell:
        pulled = pull_model(model, settings.models_dir, mirror_url=settings.engines.mirror_url, tell=tell)
    say(f"{name} is pulled, its checksum {pulled.vouched}. {_how_to_use(pulled)}")


@models.command()
def verify(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model; unset, all that are there.")] = None,
    *,
    data_dir: ServiceDataDir = None,
    config: Config = None,
) -> None:
    """Hash every file of a model and compare with what was pulled."""
    models_dir = _settings("verify", data_dir, config).models_dir
    from scribewire.engines.models import folder

    broken = False
    for one in [name] if name else folder.list_pulled(models_dir):
        try:
            with _progress() as tell:
                known = folder.verify(one, models_dir, tell)
        except ModelBroken as error:
            broken = True
            complain(str(error))
        else:
            out.print(Text(f"{one}: {len(known.files)} files as they were pulled, checksum {known.vouched}"))
    if broken:
        raise typer.Exit(1)


@models.command()
def remove(name: Name, *, data_dir: ServiceDataDir = None, config: Config = None) -> None:
    """Remove a model, and what a broken pull of it left."""
    models_dir = _settings("remove", data_dir, config).models_dir
    from scribewire.engines.models import folder

    folder.remove(name, models_dir)
    say(f"{name} is removed.")


@models.command("import")
def import_model(
    path: Annotated[Path, typer.Argument(help="A folder or an archive (tar, zip) of a model.")],
    *,
    name: Annotated[str | None, typer.Option(help="How it will be called; unset, as the folder or archive.")] = None,
    engine: Annotated[str | None, typer.Option(help="Which engine it is for; unset, told by its files.")] = None,
    language: Annotated[list[str] | None, typer.Option(help="A language that it knows; may be given again.")] = None,
    data_dir: ServiceDataDir = None,
    config: Config = None,
) -> None:
    """Copy or unpack a model that is on this machine, without a network."""
    models_dir = _settings("import", data_dir, config).models_dir
    from scribewire.engines.models import importing

    with _progress() as tell:
        known = importing.import_model(
            path, models_dir, name=name, engine=engine, languages=tuple(language or ()), tell=tell
        )
    say(f"{known.name} is imported. {_how_to_use(known)}")


def _how_to_use(model: Manifest) -> str:
    language = next(iter(model.languages), "en")
    return f'To use it: engines.{language}.fast = "{model.engine}:{model.name}"'


def _settings(command: str, data_dir: Path | None, config: Path | None) -> Settings:
    with needs_server(f"scribewire models {command}"):
        from scribewire import settings
    return settings.load(config, data_dir=data_dir)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far each file is: a bar on a terminal, else a line now and then."""
    if not err.is_terminal:
        yield _line_teller()
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(max_width=32, no_wrap=True, overflow="ellipsis")),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task, shown = progress.add_task("", total=None), ""

        def tell(what: str, done_bytes: int, total_bytes: int) -> None:
            nonlocal shown
            if what != shown:  # speed and time left are of this file alone, and not of what was there before
                shown = what
                progress.reset(task, description=what, total=total_bytes, completed=done_bytes)
            progress.update(task, total=total_bytes, completed=done_bytes)

        yield tell


def _line_teller() -> Callable[[str, int, int], None]:
    said: tuple[str, int] = ("", 0)

    def tell(what: str, done_bytes: int, total_bytes: int) -> None:
        nonlocal said
        tenth = done_bytes * 100 // max(total_bytes, 1) // _LINE_EVERY_PERCENT
        if (what, tenth) != said:
            said = (what, tenth)
            say(f"{what}: {tenth * _LINE_EVERY_PERCENT} % of {decimal(total_bytes)}")

    return tell
