"""Groups whose commands are imported only when they are named."""

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

COMPLETION = ("install_completion", "show_completion")
"""Options that typer gives every app; they belong to the whole program."""


class LazyGroup(TyperGroup):
    """Looks its commands up in a dict of modules, each of which has an `app`."""

    modules: Mapping[str, str] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.modules)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.modules:
            return None
        command = typer.main.get_command(importlib.import_module(self.modules[cmd_name]).app)
        command.name = cmd_name
        command.params = [each for each in command.params if each.name not in COMPLETION]
        return command


def group(modules: Mapping[str, str], help: str | None = None) -> typer.Typer:
    """An app that is the group of these commands."""
    kind = type("Group", (LazyGroup,), {"modules": modules})
    app = typer.Typer(
        cls=kind,
        help=help,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(lambda: None)
    return app
