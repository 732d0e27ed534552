"""agentos schema: the JSON Schema of each kind of record."""

from typing import Annotated

import typer

from agentos.cli import context
from agentos.errors import Usage
from agentos.model.records import RECORDS

app = typer.Typer()


@app.command()
def schema(kind: Annotated[str, typer.Argument(help=f"One of {', '.join(RECORDS)}.")]) -> None:
    """Print the JSON Schema of a record's front matter, for editors.

    Example: agentos schema task > .vscode/task.schema.json
    """
    if kind not in RECORDS:
        raise Usage(f"There is no kind {kind!r}; there are {', '.join(RECORDS)}.")
    context.print_json(RECORDS[kind].model_json_schema())
