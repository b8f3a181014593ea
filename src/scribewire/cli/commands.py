"""Which module each command is in, and the group that loads it when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from scribewire.loading import loading

if TYPE_CHECKING:
    from typer._click import Command, Context

# In the order of the help. A module is as slow to load as the libraries that its commands need, and no command should
# wait for those of another.
_MODULES: Final = {
    "serve": "serving",
    "worker": "serving",
    "status": "control",
    "initialize": "control",
    "keys": "control",
    "sessions": "control",
    "models": "models",
    "transcribe": "transcribe",
    "mic": "mic",
    "bench": "bench",
    "drain": "drain",
    "simulate": "simulate",
    "demo": "demo",
}


class Commands(TyperGroup):
    """The commands by name. Each is loaded when it is asked for; one that does not exist loads all, to be compared."""

    def list_commands(self, ctx: Context) -> list[str]:
        """Give the names, in the order of the help."""
        return [*_MODULES, *(name for name in self.commands if name not in _MODULES)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Give a command, or None where there is none of this name."""
        if cmd_name not in self.commands:
            for module in (_MODULES[cmd_name],) if cmd_name in _MODULES else dict.fromkeys(_MODULES.values()):
                self._load(module)
        return super().get_command(ctx, cmd_name)

    def _load(self, module: str) -> None:
        app = typer.Typer(rich_markup_mode=self.rich_markup_mode)
        with loading():
            import_module(f"scribewire.cli.{module}").add_to(app)
        self.commands.update(get_group(app).commands)
