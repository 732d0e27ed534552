"""agentos runs record: the answers of a run as a file that can be committed."""

from pathlib import Path
from typing import Annotated

import typer

from agentos.cli import context
from agentos.cli.runs import ref as runs
from agentos.errors import Refused

app = typer.Typer()


@app.command()
def record(
    ref: runs.Ref = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; else docs/recordings/RUN.jsonl.")
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="After the runs that the file has.")] = False,
) -> None:
    """Keep what a run's model or command answered, for the runner replay.

    Secrets were redacted as the run was logged. Read the file before you commit it all the same.

    Example: agentos runs record 20260202T103000Z-technical -o docs/recordings/login.jsonl
    """
    from agentos.runtime import recording

    store = context.store()
    run = runs.find(store, ref)
    found = recording.of_run(store, run)
    root = (store.git.work_tree or Path()) / store.prefix
    file = output or root / "docs" / "recordings" / f"{run}.jsonl"
    if file.exists() and not append:
        raise Refused(f"{file} is there already; name another with --output, or give --append.")
    before = file.read_text() if file.exists() else ""
    recording.parse(before, str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(before + found.text())
    count = f"{len(found.replies)} answer{'s' if len(found.replies) != 1 else ''}"
    path = file.relative_to(root) if file.is_relative_to(root) else file
    context.say(f"{file}: {count} of {run}. `replay: {path}` in an agent's file plays it.")
