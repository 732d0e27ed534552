"""agentos task edit: change fields, or open the file."""

from typing import Annotated, Any

import typer

from agentos.actions import tasks
from agentos.cli import context
from agentos.cli.task.ref import Ref
from agentos.errors import Usage
from agentos.store.fields import Unreadable, load, typed

app = typer.Typer()


@app.command()
def edit(
    ref: Ref,
    title: Annotated[str | None, typer.Option()] = None,
    priority: Annotated[int | None, typer.Option(min=1, max=5)] = None,
    due: Annotated[str | None, typer.Option(help="A date; empty for none.")] = None,
    add_label: Annotated[list[str] | None, typer.Option()] = None,
    remove_label: Annotated[list[str] | None, typer.Option()] = None,
    add_depends: Annotated[list[str] | None, typer.Option()] = None,
    remove_depends: Annotated[list[str] | None, typer.Option()] = None,
    add_need: Annotated[list[str] | None, typer.Option()] = None,
    parent: Annotated[str | None, typer.Option(help="A task; empty for none.")] = None,
    values: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE")] = None,
) -> None:
    """Change fields, each on its own line of the file; with no option, open it in $EDITOR.

    Example: agentos task edit 12 --priority 1 --add-label urgent
    """
    changes: dict[str, Any] = {"title": title, "priority": priority, "due": due, "parent": parent}
    changes = {key: value if value != "" else None for key, value in changes.items() if value is not None}
    changes |= dict(_assignment(pair) for pair in values or ())
    more = {"labels": add_label, "depends_on": add_depends, "needs": add_need}
    less = {"labels": remove_label, "depends_on": remove_depends}
    added, removed = ({k: v for k, v in part.items() if v} for part in (more, less))
    if not changes and not added and not removed:
        from agentos.cli import editor

        store = context.store()
        editor.edit(store, store.board().task(ref).path)
        return
    context.act(lambda draft: tasks.edit(draft, ref, changes, add_to=added, remove_from=removed))


def _assignment(pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals or not name.strip():
        raise Usage(f"--set takes FIELD=VALUE, not {pair!r}.")
    if value[:1] in "[{":
        try:
            return name.strip(), load(f"value: {value}\n").get("value")
        except Unreadable as error:
            raise Usage(f"{pair!r} can't be read: {error.reason}.") from None
    return name.strip(), typed(value)
