"""agentos settle: choose between the two sides of what a merge left unsettled."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from agentos.actions import conflicts
from agentos.cli import context
from agentos.errors import Usage

if TYPE_CHECKING:
    from agentos.actions.conflicts import Unsettled

app = typer.Typer()


@app.command()
def settle(
    ref: Annotated[str, typer.Argument(help="A task, an agent, or a record's path.")],
    what: Annotated[
        str | None, typer.Argument(help="A field, or the name that doctor gives it; none for everything.")
    ] = None,
    ours: Annotated[bool, typer.Option("--ours", help="Keep what the record says.")] = False,
    theirs: Annotated[bool, typer.Option("--theirs", help="Take what the other side said.")] = False,
    as_json: context.Json = False,
) -> None:
    """Choose between the two sides of what a merge left unsettled; on a terminal it asks.

    With --json it lists what there is to settle. `agentos doctor` lists it for the whole board.

    Example: agentos settle 12 priority --theirs
    """
    store = context.store()
    path = conflicts.path_of(store.board(), ref)
    found = conflicts.of(path, store.text(path).encode())
    if as_json:
        context.print_json([_plain(path, item) for item in found])
        return
    conflicts.require(found, path, what)
    if ours and theirs:
        raise Usage("Either --ours or --theirs, not both.")
    is_said = ours or theirs
    choose = conflicts.one(what, theirs) if is_said else conflicts.answered(_ask(path, found, what))
    settled = context.act(lambda draft: conflicts.settle(draft, path, choose))
    left = len(found) - len(settled)
    if left:
        context.say(f"{left} more to settle in {path}: agentos settle {ref}")


def _plain(path: str, item: "Unsettled") -> dict[str, str | int]:
    return {"path": path, "line": item.line, "name": item.name, "ours": item.ours, "theirs": item.theirs}


def _ask(path: str, found: "list[Unsettled]", what: str | None) -> "dict[Unsettled, bool | None]":
    """What the person says to each conflict, shown with both sides."""
    if context.SESSION.no_input or not sys.stdin.isatty():
        raise Usage(f"Say which side: --ours or --theirs ({len(found)} to settle in {path}).")
    answers: dict[Unsettled, bool | None] = dict.fromkeys(found)
    for item in found:
        if what not in (None, item.name):
            continue
        typer.secho(f"{path}:{item.line}: {item.name}", bold=True, err=True)
        _side("ours", item.ours, "green")
        _side("theirs", item.theirs, "magenta")
        answers[item] = _answer()
    return answers


def _side(name: str, text: str, colour: str) -> None:
    for i, line in enumerate(text.splitlines() or ["(nothing)"]):
        typer.secho(f"  {name if not i else '':<8}", dim=True, nl=False, err=True)
        typer.secho(context.clean(line), fg=colour, err=True)


def _answer() -> bool | None:
    while True:
        said = typer.prompt("  [o]urs, [t]heirs or [l]eave it", default="l", err=True).strip().lower()
        if said[:1] in ("o", "t", "l"):
            return {"o": False, "t": True, "l": None}[said[:1]]
