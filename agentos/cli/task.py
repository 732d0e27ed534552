"""agentos task: the tasks, one by one."""

import os
import shlex
import subprocess
from typing import Annotated, Any

import typer

from agentos.actions import tasks
from agentos.cli import context, show
from agentos.errors import AgentOSError, Refused, Usage
from agentos.model import rules, times
from agentos.model.records import Resolution, Status, Task
from agentos.store.fields import load, typed

app = typer.Typer(no_args_is_help=True, help="Tasks: add, list, show, edit, move and so on.")

Ref = Annotated[str, typer.Argument(help="Any unique part of its name: 12, TASK-012, add-login.")]


@app.command()
def add(
    title: str,
    body: Annotated[str | None, typer.Option(help="The description; - reads standard input.")] = None,
    priority: Annotated[int, typer.Option(min=1, max=5, help="1 is highest.")] = 3,
    assign: Annotated[list[str] | None, typer.Option(help="An agent or a person.")] = None,
    need: Annotated[list[str] | None, typer.Option(help="A capability it takes; a/b for either.")] = None,
    depends: Annotated[list[str] | None, typer.Option(help="A task that must be completed first.")] = None,
    parent: Annotated[str | None, typer.Option(help="The task it is a part of.")] = None,
    label: Annotated[list[str] | None, typer.Option()] = None,
    touches: Annotated[list[str] | None, typer.Option(help="A path the work will change.")] = None,
    due: Annotated[str | None, typer.Option(help="A date, such as 2026-12-24.")] = None,
    estimate: Annotated[str | None, typer.Option()] = None,
    check: Annotated[list[str] | None, typer.Option(help="A command that must pass.")] = None,
) -> None:
    """Add a task; its name is printed.

    Example: agentos task add "Add a login" --priority 2 --need backend-developer --check "pytest -q"
    """
    text = typer.get_text_stream("stdin").read() if body == "-" else body or ""
    task = context.act(
        lambda draft: tasks.add(
            draft, title, body=text, checks=check or (), priority=priority, assignees=assign, needs=need,
            depends_on=depends, parent=parent, labels=label, touches=touches, due=due, estimate=estimate,
        )
    )  # fmt: skip
    typer.echo(task.id)


@app.command("list")
def list_(
    status: Annotated[Status | None, typer.Option(help="Only this column.")] = None,
    assignee: Annotated[str | None, typer.Option(help="Only this agent's or person's.")] = None,
    label: Annotated[str | None, typer.Option(help="Only with this label.")] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Only what could be started now.")] = False,
    blocked: Annotated[bool, typer.Option("--blocked", help="Only what something stops.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Done ones as well.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 50,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """List tasks, the open ones by number.

    Example: agentos task list --ready --limit 5
    """
    store = context.store()
    board = store.board(at)

    def wanted(task: Task) -> bool:
        shown = status is task.status if status else everything or task.is_open
        return (
            shown
            and (assignee is None or assignee in task.assignees)
            and (label is None or label in task.labels)
            and (not ready or (rules.is_ready(board, task) and task.status in ("inbox", "assigned")))
            and (not blocked or (task.is_open and rules.obstacle(board, task) is not None))
        )

    found = sorted(filter(wanted, board.tasks.values()), key=lambda task: (task.number or 0, task.id))
    shown = found[:limit] if limit else found
    if as_json:
        context.print_json([context.plain(task) for task in shown])
    else:
        show.task_list(board, shown)
    if len(shown) < len(found):
        context.say(f"{len(shown)} of {len(found)}; --limit 0 shows all.")
    context.warn_of_problems(board)


@app.command("show")
def show_(ref: Ref, at: context.At = None, as_json: context.Json = False) -> None:
    """Show one task in full, and what moves it next.

    Example: agentos task show 12
    """
    store = context.store()
    board = store.board(at)
    task = board.task(ref)
    body = store.body(task, at)
    history = store.activities(1, at, [task.path])
    updated = times.stamp(history[0].time) if history else None
    if as_json:
        context.print_json(context.plain(task, updated=updated, body=body))
        return
    show.task(board, task, body, updated, len(board.messages_of(task.id)))


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
        _in_editor(ref)
        return
    context.act(lambda draft: tasks.edit(draft, ref, changes, add_to=added, remove_from=removed))


def _assignment(pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals or not name.strip():
        raise Usage(f"--set takes FIELD=VALUE, not {pair!r}.")
    if value[:1] in "[{":
        return name.strip(), load(f"value: {value}\n").get("value")
    return name.strip(), typed(value)


def _in_editor(ref: str) -> None:
    """Open the file itself; what was saved is adopted as a hand edit."""
    store = context.store()
    task = store.board().task(ref)
    root = store.root(store.refs())
    if root is None:
        raise AgentOSError(f"{store.branch} is checked out nowhere, so there is no file to open.")
    if context.SESSION.no_input:
        raise Refused("Say what to change with an option: --no-input forbids an editor.")
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    done = subprocess.run([*editor, str(root / task.path)], check=False)
    if done.returncode:
        raise AgentOSError(f"{editor[0]} left with {done.returncode}; the file is as it saved it.")
    context.act(lambda draft: None)


@app.command()
def move(
    ref: Ref,
    status: Annotated[str, typer.Argument(help=f"One of {', '.join(Status)}.")],
    resolution: Annotated[Resolution | None, typer.Option("--as", help="Why it is done.")] = None,
) -> None:
    """Move a task to another column.

    Example: agentos task move 12 done --as cancelled
    """
    context.act(lambda draft: tasks.move(draft, ref, status, resolution))


@app.command()
def assign(
    ref: Ref,
    names: Annotated[list[str] | None, typer.Argument(help="Agents or people; none gives it back.")] = None,
) -> None:
    """Say who works on a task; the first of several works, the others watch.

    Example: agentos task assign 12 technical
    """
    context.act(lambda draft: tasks.assign(draft, ref, names or ()))


@app.command()
def block(ref: Ref, reason: Annotated[list[str], typer.Argument(help="What it waits for.")]) -> None:
    """Stop a task, and say why.

    Example: agentos task block 12 waiting for the API key
    """
    context.act(lambda draft: tasks.block(draft, ref, " ".join(reason)))


@app.command()
def unblock(ref: Ref) -> None:
    """Let a blocked task go on.

    Example: agentos task unblock 12
    """
    context.act(lambda draft: tasks.unblock(draft, ref))


@app.command()
def check(
    ref: Ref,
    number: Annotated[int, typer.Argument(help="Which acceptance criterion, 1 being the first.")],
    clear: Annotated[bool, typer.Option("--clear", help="Take the tick away.")] = False,
) -> None:
    """Tick an acceptance criterion.

    Example: agentos task check 12 1
    """
    context.act(lambda draft: tasks.check(draft, ref, number, not clear))


@app.command()
def archive(
    refs: Annotated[list[str] | None, typer.Argument(help="Done tasks.")] = None,
    everything: Annotated[bool, typer.Option("--done", help="All that are done.")] = False,
) -> None:
    """Move done tasks out of the way, into board/archive/.

    Example: agentos task archive --done
    """

    def run(draft: Any) -> list[Task]:
        names = [t.id for t in draft.board.tasks.values() if not t.is_open and not t.is_archived]
        return tasks.archive(draft, names if everything else refs or ())

    if not refs and not everything:
        raise Usage("Say which tasks, or --done for all that are done.")
    context.say(f"{len(context.act(run))} archived.")
