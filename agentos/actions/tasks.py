"""What can be done with tasks."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentos.errors import Invalid, NotFound, Refused, Usage
from agentos.model import ids, rules
from agentos.model import markdown as md
from agentos.model.records import LIST_FIELDS, NAME, Task
from agentos.model.soundness import cycle
from agentos.model.words import Resolution, Status
from agentos.store import frontmatter
from agentos.store.draft import Draft

MOST_TITLE = 500


def add(
    draft: Draft,
    title: str,
    *,
    body: str = "",
    checks: Iterable[str] = (),
    criteria: Iterable[str] = (),
    **fields: Any,
) -> Task:
    """A new task in the inbox, or assigned where `assignees` are given.

    `fields` are the record's; references may be in any form that `resolve` takes. `checks` are commands and
    `criteria` sentences that become its acceptance criteria.
    """
    title = " ".join(title.split())
    if not title:
        raise Usage("A task needs a title.")
    if len(title) > MOST_TITLE:
        raise Usage(f"A title has at most {MOST_TITLE} characters; put the rest into --body.")
    name = draft.next_task(title)
    values = {"title": title, "status": Status.INBOX, "priority": 3, "created_by": draft.by.name}
    values |= _resolved(draft, {key: value for key, value in fields.items() if value})
    task = Task.make(f"board/tasks/{name}.md", values | {"created": draft.stamp})
    wanted = (*(f"`{command}` passes" for command in checks), *criteria)
    boxes = [f"- [ ] {' '.join(each.splitlines())}" for each in wanted]
    text = _unticked(body.strip()) if draft.by.is_agent else body.strip()
    if boxes:
        text = f"{text}\n\n## {md.CRITERIA}\n\n".lstrip() + "\n".join(boxes)
    draft.create(task, text)
    require_no_cycle(draft, task)
    return draft.task(task.id)


def _unticked(body: str) -> str:
    """A text of an agent's, which can't say of anything that it was seen."""
    for box in md.criteria(body):
        body = md.tick(body, box, False)
    return body


def edit(
    draft: Draft,
    ref: str,
    changes: Mapping[str, Any],
    *,
    add_to: Mapping[str, Sequence[str]] | None = None,
    remove_from: Mapping[str, Sequence[str]] | None = None,
) -> Task:
    """Set fields (None removes one), and add to or remove from list fields."""
    task = draft.task(ref)
    values: dict[str, Any] = dict(changes)
    for key, items in _resolved(draft, dict(add_to or {})).items():
        values[key] = list(dict.fromkeys([*getattr(task, key), *items]))
    for key, items in _resolved(draft, dict(remove_from or {}), strict=False).items():
        values[key] = [item for item in values.get(key, getattr(task, key)) if item not in items]
    for key in LIST_FIELDS["task"] & values.keys():
        if values[key] is not None and not isinstance(values[key], list):
            values[key] = [part.strip() for part in str(values[key]).split(",") if part.strip()]
    changed = task.replace(**_resolved(draft, values))
    draft.put(changed)
    require_no_cycle(draft, changed)
    return changed


def move(draft: Draft, ref: str, to: str, resolution: Resolution | None = None) -> Task:
    """A person may move anything anywhere; an agent only along `rules.MOVES`."""
    task = draft.task(ref)
    try:
        status = Status(to.replace("-", "_").lower())
    except ValueError:
        raise Usage(f"There is no status {to!r}; there are {', '.join(Status)}.") from None
    if status is task.status and resolution is None:
        return task
    if resolution and status is not Status.DONE:
        raise Usage(f"--as says why a task is done; {status} is not.")
    moved = rules.move(task, status) if draft.by.is_agent else task.replace(status=status)
    return draft.put(moved.replace(resolution=resolution) if resolution else moved)


def assign(draft: Draft, ref: str, names: Sequence[str]) -> Task:
    """Exactly these assignees, the first of whom works; none gives the task back to the inbox."""
    task = draft.task(ref)
    return draft.put(task.replace(assignees=[member(draft, name) for name in names] or None))


def block(draft: Draft, ref: str, reason: str) -> Task:
    task = draft.task(ref)
    if not task.is_open:
        raise Refused(f"{task.id} is done; move it back first: agentos task move {task.short} inbox")
    return draft.put(task.replace(blocked=" ".join(reason.split()) or "no reason given"))


def unblock(draft: Draft, ref: str) -> Task:
    return draft.put(draft.task(ref).replace(blocked=None))


def check(draft: Draft, ref: str, number: int, ticked: bool = True) -> Task:
    """Tick one acceptance criterion, or clear it, as a person. Raises NotFound for a number that none has."""
    if draft.by.is_agent:
        raise Refused("An agent can't tick criteria; the runtime does, from what it has seen pass.")
    return tick(draft, ref, number, ticked)


def tick(draft: Draft, ref: str, number: int, ticked: bool = True) -> Task:
    """Tick a criterion that was seen to pass, or clear it. Raises NotFound for a number that none has."""
    task = draft.task(ref)
    page = frontmatter.split(task.path, draft.text(task.path))
    boxes = md.criteria(page.body)
    if not 1 <= number <= len(boxes):
        raise NotFound(f"{task.id} has {len(boxes)} acceptance criteria; there is no number {number}.")
    box = boxes[number - 1]
    if box.is_ticked is not ticked:
        draft.write(task.path, dataclasses.replace(page, body=md.tick(page.body, box, ticked)).data)
    return task


def forget_checks(draft: Draft, ref: str) -> None:
    """Clear the criteria that are checks: what was seen to pass was other work than is handed in now."""
    task = draft.task(ref)
    page = frontmatter.split(task.path, draft.text(task.path))
    for box in md.criteria(page.body):
        if box.check and box.is_ticked:
            tick(draft, ref, box.number, False)


def archive(draft: Draft, refs: Iterable[str]) -> list[Task]:
    """Move closed tasks out of the way; their messages stay where they are, and references hold."""
    moved = []
    for ref in refs:
        task = draft.task(ref)
        if task.is_open:
            raise Refused(f"{task.id} is {task.status}; only a done task can be archived.")
        if not task.is_archived:
            folder = f"{(task.number or 0) // 100:02d}xx"
            draft.rename(task.path, f"board/archive/{folder}/{task.id}.md")
        moved.append(task)
    return moved


def member(draft: Draft, name: str) -> str:
    """An agent or a person of the config. Raises NotFound, and Usage for what can't be a name."""
    board = draft.board
    plain = name.strip().removeprefix("@").removeprefix("agent:").removesuffix(":main")
    if board.is_name_taken(plain):
        return plain
    if not re.fullmatch(NAME, plain):
        raise Usage(f"{name!r} can't be a name: lower-case letters, digits, - and _ only.")
    everyone = ", ".join([*sorted(board.agents), *sorted(board.config.people)])
    raise NotFound(f"Nobody here is called {name!r}; there are {everyone or 'no agents yet'}.")


def _resolved(draft: Draft, values: dict[str, Any], strict: bool = True) -> dict[str, Any]:
    """The values with references in full, and people and agents checked."""
    known = draft.board.tasks.rows.keys() | draft.board.held

    def full(ref: str) -> str:
        return ids.resolve(ref, known) if strict or ref not in known else ref

    if values.get("depends_on"):
        values["depends_on"] = [full(str(ref)) for ref in values["depends_on"]]
    if values.get("parent"):
        values["parent"] = full(str(values["parent"]))
    if strict and values.get("assignees"):
        values["assignees"] = [member(draft, str(name)) for name in values["assignees"]]
    return values


def require_no_cycle(draft: Draft, task: Task) -> None:
    """Raises Invalid, with the names, where this task's references lead back to it."""
    for field in ("depends_on", "parent"):
        loop = cycle(draft.board, field, task.id) if getattr(task, field) else None
        if loop:
            raise Invalid(f"That would be a cycle: {' → '.join(loop)}.")
