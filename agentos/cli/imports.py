"""agentos import: a roadmap becomes tasks."""

import os
from pathlib import Path
from typing import Annotated

import typer

from agentos.cli import context
from agentos.errors import Invalid, NotFound
from agentos.orchestrator import planning
from agentos.orchestrator.roadmap import Plan
from agentos.store import frontmatter
from agentos.store.fields import Unreadable
from agentos.store.repository import Store
from agentos.store.transaction import transact

app = typer.Typer()


@app.command()
def import_(
    file: Annotated[Path, typer.Argument(help="A Markdown roadmap, outline or task list.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the tasks and change nothing.")] = False,
    as_json: context.Json = False,
) -> None:
    """Turn a Markdown roadmap, outline or task list into tasks. Importing twice changes nothing.

    Example: agentos import roadmap.md --dry-run
    """
    if not file.is_file():
        raise NotFound(f"{file} is no file.")
    try:
        plan = planning.read(frontmatter.decode(file.read_bytes()))
    except Unreadable as error:
        raise Invalid(f"{file}:{error.line}: {error.reason}") from None
    if not plan.steps:
        raise Invalid(f"{file}:1: no heading and no list item here that could become a task.")
    for doubt in plan.doubts:
        context.say(f"! {file}:{doubt}")
    if dry_run:
        _preview(plan, as_json)
        return
    store = context.store()
    source, link = _origin(store, file)
    result = transact(
        store,
        lambda draft: planning.apply(draft, plan, source, link),
        store.person(),
        subject=f"import: {len(plan.steps)} tasks from {source}",
    )
    done = result.value
    if as_json:
        context.print_json([{"key": key, "id": name} for key, name in done.created])
    elif done.created:
        goals = sum(any(s.parent == step.key for s in plan.steps) for step in plan.steps)
        had = f"; {done.present} were there already" if done.present else ""
        parts = f"{goals} goals and {len(plan.steps) - goals} tasks" if goals else f"{len(plan.steps)} tasks"
        context.say(f"{parts} from {source}{had}  ({(result.commit or '')[:9]})")
    else:
        context.say(f"Nothing to do: all {done.present} tasks of {source} are on the board.")


def _origin(store: Store, file: Path) -> tuple[str, str | None]:
    """What the source is called, and how a task file links to it: by its place where that is in here."""
    assert store.git.work_tree is not None
    try:
        inner = file.resolve().relative_to(store.git.work_tree.resolve())
    except ValueError:
        return file.name, None
    tasks = Path(store.prefix) / "board" / "tasks"
    return inner.as_posix(), Path(os.path.relpath(inner, tasks)).as_posix()


def _preview(plan: Plan, as_json: bool) -> None:
    if as_json:
        context.print_json([{name: getattr(step, name) for name in step.__slots__} for step in plan.steps])
        return
    depth: dict[str, int] = {}
    for step in plan.steps:
        depth[step.key] = depth[step.parent] + 1 if step.parent in depth else 0
        waits = f"  after {', '.join(step.depends_on)}" if step.depends_on else ""
        needs = f"  [{' + '.join(step.needs)}]" if step.needs else ""
        typer.echo(context.clean(f"{'  ' * depth[step.key]}{step.title}{needs}{waits}"))
    context.say(f"{len(plan.steps)} tasks; nothing was written.")
