"""How a task is named on the command line."""

from typing import Annotated

import typer

Ref = Annotated[str, typer.Argument(help="Any unique part of its name: 12, TASK-012, add-login.")]
