"""What every command needs: the store, who is asking, and how to print."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from agentos.model.board import Board
    from agentos.model.records import Record
    from agentos.store.repository import Store
    from agentos.store.transaction import Result

T = TypeVar("T")

_UNSEEN = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
"""What JSON may have as it is, and a terminal obeys or hides: controls, directions, half characters."""

At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="REV|DATE", help="As it was at a commit, or at a time: 2026-02-02T10:30Z, 2 days ago."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass
class Session:
    """The options that stand before the command."""

    quiet: bool = False
    no_input: bool = False


SESSION = Session()


def now() -> datetime:
    return datetime.now(UTC)


def store() -> "Store":
    """The board at or above the current folder."""
    from agentos.store.repository import Store

    return Store.open(Path.cwd(), os.environ, now)


def act(decide: Callable[[Any], T]) -> T:
    """Run an action as the person who types, and say in one line what was committed."""
    from agentos.store.transaction import transact

    board = store()
    return report(transact(board, decide, board.person()))


def report(result: "Result[T]") -> T:
    """Say in one line what a transaction committed; gives its value."""
    from agentos.model.activity import subject

    for note in result.notes:
        say(note)
    if result.adopted:
        say(f"{subject(result.adopted)}  (by hand)")
    if result.commit:
        say(f"{subject(result.changes)}  ({result.commit[:9]})")
    elif not result.adopted:
        say("Nothing changed.")
    return result.value


def say(text: str) -> None:
    """A message to the person: on stderr, and not when quiet."""
    if not SESSION.quiet:
        typer.echo(clean(text), err=True)


def is_terminal() -> bool:
    return sys.stdout.isatty()


def console(**options: Any) -> Any:
    """A rich console for stdout; imported only here, since it takes as long as half of a start."""
    from rich.console import Console

    return Console(highlight=False, **options)


def print_json(value: Any) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    typer.echo(_UNSEEN.sub(lambda c: f"\\u{ord(c[0]):04x}", text))


def plain(record: "Record", **more: Any) -> dict[str, Any]:
    """A record as JSON shows it: the file's fields, its identity and path, and what is given."""
    name = {"id": record.id, "path": record.path}
    return name | record.fields() | name | more


def plain_list(store: "Store", records: "Sequence[Record]", at: str | None) -> list[dict[str, Any]]:
    """Records as JSON shows a list of them: each with when it was last committed."""
    updated = store.updated([record.path for record in records], at)
    return [plain(record, updated=updated.get(record.path)) for record in records]


def printable(text: str) -> str:
    """A text of several lines without the control characters that could drive a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def rows(lines: Iterable[Sequence[str]]) -> None:
    """Columns for a script: tabs between, no header."""
    typer.echo("\n".join("\t".join(clean(cell) for cell in line) for line in lines))


def clean(cell: str) -> str:
    """Without control characters, so that no text from a file can drive a terminal."""
    return "".join(c if c.isprintable() else " " for c in cell)


def warn_of_problems(board: "Board") -> None:
    """Say that some files can't be read, so that nobody takes a list for complete."""
    bad = [problem for problem in board.problems if problem.is_fatal]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        say(f"! {bad[0]}{more}; agentos doctor lists them.")
