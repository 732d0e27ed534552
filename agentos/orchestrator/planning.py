"""Planning: a plan becomes tasks on the board, each once."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from agentos.actions import tasks
from agentos.model.words import Resolution, Status
from agentos.orchestrator.roadmap import Plan, Step, parse
from agentos.store.draft import Draft


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: the keys and names of new tasks, how many were there already, and doubts."""

    created: tuple[tuple[str, str], ...]
    present: int
    doubts: tuple[str, ...]


def read(text: str) -> Plan:
    """A roadmap's plan; foreign front matter (YAML, TOML or JSON) above it is left out."""
    import frontmatter

    return parse(frontmatter.parse(text)[1] if text.startswith(("---", "+++", "{")) else text)


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
