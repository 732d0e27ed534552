"""Planning: a plan becomes tasks on the board, each once."""

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from agentos.actions import tasks
from agentos.model.words import Resolution, Status
from agentos.orchestrator.roadmap import Plan, Step, parse
from agentos.store.draft import Draft
from agentos.store.fields import yaml_error


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: the keys and names of new tasks, how many were there already, and doubts."""

    created: tuple[tuple[str, str], ...]
    present: int
    doubts: tuple[str, ...]


def read(text: str) -> Plan:
    """A roadmap's plan; foreign front matter (YAML, TOML or JSON) above it is left out."""
    lead = _front_matter(text)
    plan = parse(text[lead:])
    down = text.count("\n", 0, lead)
    steps = (replace(step, first=step.first + down, last=step.last + down) for step in plan.steps)
    return Plan(tuple(steps), plan.doubts)


def _front_matter(text: str) -> int:
    """Where the text begins below any front matter; what can't be read as such is part of the text."""
    if not text.startswith(("---", "+++", "{")):
        return 0
    import frontmatter

    try:
        body = frontmatter.parse(text)[1]
    except (ValueError, yaml_error()):
        return 0
    return max(0, text.find(body)) if body else len(text)


def apply(draft: Draft, plan: Plan, source: str, link: str | None = None) -> Imported:
    """Create the tasks of a plan that the board does not have yet.

    A task remembers its place as `source: <file>#<key>`; by that it is known when the file is imported again.
    `link` is how a task file refers to the source, if it can.
    """
    names: dict[str, str] = {}
    for task in draft.board.tasks.values():
        origin = task.fields().get("source")
        if isinstance(origin, str) and origin.startswith(f"{source}#"):
            names[origin.partition("#")[2]] = task.id
    present = set(names)
    created = []
    for step in plan.steps:
        if step.key not in names:
            names[step.key] = _create(draft, step, names, source, link)
            created.append((step.key, names[step.key]))
    for step in plan.steps:
        if step.key not in present and step.depends_on:
            tasks.edit(draft, names[step.key], {"depends_on": [names[key] for key in step.depends_on]})
    return Imported(tuple(created), len(present & {step.key for step in plan.steps}), plan.doubts)


def _create(draft: Draft, step: Step, names: dict[str, str], source: str, link: str | None) -> str:
    where = f"{PurePosixPath(source).name}, lines {step.first} to {step.last}"
    origin = f"From [{where}]({link}#L{step.first}-L{step.last})." if link else f"From {where}."
    done = {"status": Status.DONE, "resolution": Resolution.COMPLETED} if step.is_done else {}
    task = tasks.add(
        draft,
        step.title,
        body=f"{origin}\n\n{step.body}",
        parent=names.get(step.parent or ""),
        needs=list(step.needs),
        estimate=step.estimate,
        source=f"{source}#{step.key}",
        **done,
    )
    return task.id
