"""agentos inbox: what somebody should know, and marking it as read."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from agentos.cli import context
from agentos.errors import Usage
from agentos.notify import inbox as notify

if TYPE_CHECKING:
    from agentos.model.notices import Notice
    from agentos.store.repository import Store

app = typer.Typer()


@app.command()
def inbox(
    name: Annotated[
        str | None, typer.Argument(help="Whose; yours for none. `read` marks yours as read.")
    ] = None,
    ids: Annotated[list[str] | None, typer.Argument(help="After `read`: only these notices.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also what was read.")] = False,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """Show what somebody should know: mentions, questions, answers, work, reviews, refused edits; people also
    what only agents are concerned with and stuck at, proposed agents, needs that nobody meets, and budgets.

    `agentos inbox read` marks everything as read, `agentos inbox read ID` one notice.

    Example: agentos inbox
    """
    store = context.store()
    if name == "read":
        _read(store, ids or [])
        return
    if ids:
        raise Usage("One name at a time; `agentos inbox read ID …` marks notices as read.")
    found, unread = notify.of(store, name or store.person().name, at)
    shown = [(notice, _text(store, notice, at)) for notice in (found if every else unread)]
    if as_json:
        plain = [dataclasses.asdict(notice) | {"text": text} for notice, text in shown]
        context.print_json(
            [line | {"read": n not in unread} for line, (n, _) in zip(plain, shown, strict=True)]
        )
        return
    _show(shown)
    if not shown:
        context.say("Nothing new; --all shows what was read." if found else "Nothing here yet.")


def _read(store: "Store", ids: list[str]) -> None:
    from agentos.store.transaction import transact

    person = store.person()
    known, unread = notify.of(store, person.name)
    count = len(unread) if not ids else sum(any(part in n.id for part in ids) for n in unread)
    line = f"read {count} notice{'' if count == 1 else 's'}"
    result = transact(store, lambda d: notify.read(d, person.name, known, ids), person, subject=line)
    for note in result.notes:
        context.say(note)
    context.say(f"{line}  ({result.commit[:9]})" if result.commit else "Nothing changed.")


def _text(store: "Store", notice: "Notice", at: str | None) -> str:
    """What a notice says; of a message its first line."""
    if notice.text or not notice.path:
        return notice.text
    body = store.body(store.board(at).messages[notice.path], at).strip()
    return body.splitlines()[0] if body else ""


def _show(shown: "list[tuple[Notice, str]]") -> None:
    rows = [(n.time, n.kind, n.who, n.task, text, n.id) for n, text in shown]
    if not context.is_terminal():
        if rows:
            context.rows(rows)
        return
    from rich.text import Text

    from agentos.model.activity import short

    out = context.console()
    for time, kind, who, task, text, _ in rows:
        line = Text.assemble(
            (f"{time[:10]} {time[11:16]}  ", "dim"),
            (f"{kind:<9}", "bold red" if kind in ("refused", "blocked", "unmet") else "bold"),
            (f"{context.clean(who)}  " if who else "", "blue"),
            (f"{short(task)}  " if task else "", "cyan"),
            context.clean(text),
        )
        out.print(line, no_wrap=True, overflow="ellipsis")
