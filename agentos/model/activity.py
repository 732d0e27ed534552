"""Activities: what a commit says happened, in its subject, its trailers, and one line of the feed."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from agentos.model.changes import (
    Change,
    MessageAdded,
    RecordChanged,
    TaskChanged,
    TaskCreated,
    TaskDeleted,
    TaskRenamed,
    Ticks,
)
from agentos.model.words import Resolution, Status

UNDID = "undid a change to"

PARTLY = ("task.checked", "task.unchecked")
"""The events that say of how many criteria: of those ticked now, and of those that were cleared."""

NEAR = "budget.near"
"""The event of a run that came near a cap of its budget."""

VERBS = {
    "task.created": "created",
    "task.deleted": "deleted",
    "task.assigned": "assigned",
    "task.started": "started",
    "task.submitted": "submitted",
    "task.completed": "completed",
    "task.cancelled": "cancelled",
    "task.sent_back": "sent back",
    "task.reopened": "reopened",
    "task.shelved": "moved to inbox",
    "task.blocked": "blocked",
    "task.unblocked": "unblocked",
    "task.archived": "archived",
    "task.renamed": "renamed",
    "task.checked": "checked",
    "task.unchecked": "unchecked",
    "task.edited": "edited",
    "task.mended": "mended",
    "task.undone": UNDID,
    "message.undone": UNDID,
    "agent.undone": UNDID,
    "document.undone": UNDID,
    "config.undone": UNDID,
    NEAR: "reached 80 % of the budget of",
    "message.comment": "commented on",
    "message.status_update": "reported on",
    "message.question": "asked about",
    "message.answer": "answered on",
    "message.edited": "edited a message of",
    "message.removed": "removed a message of",
    "message.moved": "moved the messages of",
}
"""Each event of a task, and each undoing, as the feed says it."""

MERGED = "board.merged"
"""The event of a commit that only brings two lines of history together."""

REFUSED = "Refused"
"""The trailer that says why an edit of WORKING.md was put back."""

BUDGET = "Budget"
"""The trailer that names a cap of which a run has used 80 %."""

MOST_EVENTS = 50
"""Events that one commit names in trailers; more of them are read from what it changed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: what, to which record, and to how much of it (`2/3`) where that is said."""

    name: str
    subject: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.subject} {self.part}".rstrip()

    @staticmethod
    def read(text: str) -> "Event":
        """The event that `str` made this text of; a document's path may have spaces."""
        name, _, rest = text.partition(" ")
        subject, _, part = rest.partition(" ") if name in PARTLY else (rest, "", "")
        return Event(name, subject, part)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: an agent, or a person with a git identity."""

    name: str
    is_agent: bool = False
    full_name: str = ""
    email: str = ""

    @property
    def shown(self) -> str:
        """`agent:technical:main` for an agent, for a person their name on the board."""
        return f"agent:{self.name}:main" if self.is_agent else self.name


@dataclass(frozen=True, slots=True)
class Activity:
    """One line of history, read from a commit and its trailers."""

    commit: str
    time: datetime
    actor: str
    subject: str
    events: tuple[Event, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """What happened, such as `completed TASK-007`."""
        return sentence(self.events) or self.subject

    @property
    def who(self) -> str:
        """The actor's name on the board: `technical` for `agent:technical:main`."""
        return self.actor.removeprefix("agent:").removesuffix(":main")

    def trailer(self, name: str) -> str | None:
        return next((value for key, value in self.trailers if key == name), None)


def short(text: str) -> str:
    """The text with each task in its short form: TASK-012-add-login as TASK-012."""
    return re.sub(r"\b(TASK-\d+)-[\w-]+", r"\1", text)


def sentence(events: Sequence[Event]) -> str:
    """The events as one line: named where they are few of a kind, counted where they are many."""
    by_name: dict[str, dict[str, None]] = {}
    for event in events:
        whole = f"{event.part.replace('/', ' of ')} of " if event.part else ""
        by_name.setdefault(event.name, {})[whole + event.subject] = None
    parts = []
    for name, subjects in by_name.items():
        verb = VERBS.get(name) or name.rpartition(".")[2].replace("_", " ")
        noun = name.partition(".")[0]
        listed = len(subjects) <= 2
        parts.append(
            f"{verb} {' and '.join(map(short, subjects))}" if listed else f"{verb} {len(subjects)} {noun}s"
        )
    return ", ".join(parts)


def events(changes: Iterable[Change], verb: str = "") -> list[Event]:
    """What these changes mean, one event a record; `verb` instead, where it was something else."""
    found = [event for change in changes for event in _events(change)]
    if not verb:
        return found
    return list(dict.fromkeys(Event(f"{e.name.partition('.')[0]}.{verb}", e.subject) for e in found))


def _events(change: Change) -> list[Event]:
    match change:
        case TaskCreated(task):
            return [Event("task.created", task.id)]
        case TaskDeleted(task):
            return [Event("task.deleted", task.id)]
        case TaskRenamed(_, task):
            return [Event("task.renamed", task.id)]
        case TaskChanged(_, task, _, Ticks() as ticks):
            return [Event(f"task.{ticks.verb}", task.id, ticks.part)]
        case TaskChanged():
            return [Event(_task_event(change), change.after.id)]
        case MessageAdded(message):
            return [Event(f"message.{message.type}", message.task)]
        case RecordChanged(kind, name, how):
            return [Event(f"{kind}.{how}", name)]


def _task_event(change: TaskChanged) -> str:
    before, after = change.before, change.after
    if before.status != after.status:
        match after.status:
            case Status.INBOX:
                return "task.shelved"
            case Status.ASSIGNED:
                return "task.assigned"
            case Status.IN_PROGRESS if before.status is Status.REVIEW:
                return "task.sent_back"
            case Status.IN_PROGRESS if before.status is Status.DONE:
                return "task.reopened"
            case Status.IN_PROGRESS:
                return "task.started"
            case Status.REVIEW:
                return "task.submitted"
            case Status.DONE:
                dropped = after.resolution in (Resolution.CANCELLED, Resolution.DUPLICATE)
                return "task.cancelled" if dropped else "task.completed"
    if before.blocked != after.blocked:
        return "task.blocked" if after.blocked else "task.unblocked"
    if after.is_archived and not before.is_archived:
        return "task.archived"
    return "task.assigned" if before.assignees != after.assignees else "task.edited"


def subject(changes: Sequence[Change]) -> str:
    """The first line of the commit that holds these changes."""
    if not changes:
        return "WORKING.md: rendered"
    rest = len(changes) - 1
    renamed = [change for change in changes if isinstance(change, TaskRenamed)]
    if len(renamed) == 1 and rest:
        return f"{_one_line(renamed[0])}, and what names it"
    if rest <= 1:
        more = f", and {_one_line(changes[1])}" if rest else ""
        return _one_line(changes[0]) + more
    counts = Counter(event.name for event in events(changes))
    parts = []
    for name, count in counts.items():
        noun, _, what = name.partition(".")
        plural = noun if count == 1 else f"{noun}s"
        parts.append(f"{count} {plural} {VERBS.get(name, what) if noun == 'task' else what}")
    return ", ".join(parts)


def _one_line(change: Change) -> str:
    match change:
        case TaskCreated(task):
            return f"{task.id}: created"
        case TaskDeleted(task):
            return f"{task.id}: deleted"
        case TaskRenamed(before, after):
            return f"{after.id}: renamed from {before.id}"
        case TaskChanged(_, task, _, Ticks() as ticks):
            return f"{task.id}: {ticks.verb} {ticks.part.replace('/', ' of ')}"
        case TaskChanged(before, after, fields):
            return f"{after.id}: {_what(before, after, fields)}"
        case MessageAdded(message):
            return f"{message.task}: {message.type.replace('_', ' ')} by {message.author}"
        case RecordChanged(kind, name, how):
            return f"{name}: {kind} {how}"


def _what(before: object, after: object, fields: tuple[str, ...]) -> str:
    if "status" in fields:
        return f"{getattr(before, 'status')} → {getattr(after, 'status')}"  # noqa: B009
    if len(fields) > 1:
        return ", ".join(fields)
    name = fields[0]
    if name == "blocked":
        return "blocked" if getattr(after, name) else "unblocked"
    if name in ("body", "path"):
        return "text edited" if name == "body" else "archived"
    old, new = (getattr(record, name, None) for record in (before, after))
    if isinstance(old, tuple) or isinstance(new, tuple):
        added = [f"+{item}" for item in new or () if item not in (old or ())]
        gone = [f"-{item}" for item in old or () if item not in (new or ())]
        return f"{name} {' '.join(added + gone)}".strip()
    if name in ("priority", "due", "estimate", "parent"):
        return f"{name} {old if old is not None else 'none'} → {new if new is not None else 'none'}"
    return name


def message(
    subject: str, events: Sequence[Event], by: Actor, trailers: Iterable[tuple[str, str]] = ()
) -> str:
    """The commit message: subject; `Agent:` or `Person:`, `Task:` and `Event:` trailers; the given ones."""
    tasks = dict.fromkeys(e.subject for e in events if e.subject.startswith("TASK-"))
    lines = [("Agent" if by.is_agent else "Person", by.name)]
    lines += [("Task", name) for name in list(tasks)[:MOST_EVENTS]]
    lines += [("Event", str(event)) for event in events if len(events) <= MOST_EVENTS]
    lines += trailers
    body = "\n".join(f"{key}: {_clean(value)}" for key, value in lines)
    return f"{_clean(subject)}\n" + (f"\n{body}\n" if body else "")


def _clean(text: str) -> str:
    """On one line, without control characters, so that no text can forge a trailer."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
