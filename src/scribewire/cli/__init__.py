"""The command line: its commands, and one place where every failure becomes a sentence and an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from scribewire import __version__
from scribewire.cli.commands import Commands
from scribewire.cli.terminal import complain, out
from scribewire.errors import ScribewireError

app = typer.Typer(
    cls=Commands,
    name="scribewire",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def scribewire() -> None:
    """Self-hosted realtime speech-to-text."""


@app.command()
def version() -> None:
    """Print the version."""
    out.print(__version__, highlight=False)


def main() -> NoReturn:
    """Run the command that was asked for, and exit."""
    try:
        app(prog_name="scribewire")
    except ScribewireError as error:
        complain(str(error))
    except BrokenPipeError:
        sys.stderr.close()  # who reads us has gone; so has nobody to complain to
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        complain(
            f"Something went wrong inside scribewire ({type(error).__name__}: {error}). "
            "`python -X dev -m scribewire …` shows where."
        )
    sys.exit(1)
