"""Notices: what one reader should know, from the board and its history; only what was read is kept."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentos.model import rules, times
from agentos.model.activity import BUDGET, NEAR, REFUSED, Activity
from agentos.model.board import Board
from agentos.model.consequences import WAITS
from agentos.model.records import Inbox, Message, Task
from agentos.model.words import Status


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to know: when, a name that stays the same, what kind, who did it, about which record.

    `task` is empty where it is about none.
    """

    time: str
    id: str
    kind: str
    who: str
    task: str
    text: str
    path: str = ""


def notices(
    board: Board, activities: Sequence[Activity], refused: Sequence[Activity], reader: str
) -> list[Notice]:
    """Everything for this reader, newest first; never what they did themselves.

    `activities` are the last ones, newest first; `refused` those in which edits of WORKING.md were refused.
    """
    found = [*_messages(board, reader), *_tasks(board, activities, reader)]
    found += _documents(board, activities, reader)
    found += [] if reader in board.agents else [*_budgets(activities), *_team(board, activities)]
    own = [notice for notice in found if notice.who != reader]
    return sorted([*_refused(refused, reader), *own], key=lambda notice: notice.time, reverse=True)


def is_read(inbox: Inbox, notice: Notice) -> bool:
    """Whether the reader has marked it: one by one, or everything before a moment."""
    return notice.id in inbox.read or (inbox.read_until is not None and notice.time < inbox.read_until)


def marked(inbox: Inbox, read: Sequence[Notice], known: Sequence[Notice]) -> Inbox:
    """The inbox with these marked as read; where that leaves nothing of what is known, by the moment alone.

    What happens later in the same second is new all the same: the notices of that second go by their names.
    """
    names = {*inbox.read, *(notice.id for notice in read)}
    if any(notice.id not in names and not is_read(inbox, notice) for notice in known):
        return inbox.replace(read=sorted(names & {notice.id for notice in known}))
    until = max([notice.time for notice in known], default="") or inbox.read_until
    last = sorted(notice.id for notice in known if notice.time == until)
    return inbox.replace(read=last or None, read_until=until)


def _messages(board: Board, reader: str) -> Iterator[Notice]:
    authors = {message.id: message.author for message in board.messages.values()}
    for message in board.messages.values():
        kind = _why(board, message, authors.get(message.reply_to or ""), reader)
        if kind:
            time = message.created or ""
            yield Notice(time, message.id, kind, message.author, message.task, "", message.path)


def _why(board: Board, message: Message, asked_by: str | None, reader: str) -> str:
    """Why a message is for this reader, or empty."""
    if asked_by == reader:
        return "answer" if message.type == "answer" else "reply"
    task: Task | None = board.tasks.get(message.task)
    concerned = task is not None and (reader in task.assignees or task.created_by == reader)
    if message.type in ("question", "answer") and (concerned or reader in message.mentions):
        return message.type
    return "mention" if reader in message.mentions else ""


def _tasks(board: Board, activities: Sequence[Activity], reader: str) -> Iterator[Notice]:
    """Assignments, reviews wanted, and work that is blocked."""
    for task in board.open_tasks:
        if task.blocked and _is_called(board, reader, task):
            yield _of(task, "blocked", activities, ("task.blocked",), f"{task.title}: {_wanted(task)}")
        elif task.status is Status.REVIEW and _reviews(board, reader, task):
            yield _of(task, "review", activities, ("task.submitted",), task.title)
        elif task.status is Status.REVIEW and reader not in board.agents:
            yield from _passed(task, activities)
        elif reader in task.assignees and task.status is not Status.REVIEW:
            yield _of(task, "assigned", activities, ("task.assigned", "task.created"), task.title)


def _passed(task: Task, activities: Sequence[Activity]) -> Iterator[Notice]:
    """That agents are done with a review, and a person has to judge: since it was handed in last."""
    for activity in activities:
        if any(event.name == "task.submitted" and event.subject == task.id for event in activity.events):
            return
        verdict = activity.trailer("Verdict") if activity.trailer("Run-Task") == task.id else None
        if verdict == "approved":
            text = f"{task.title}: passed; agentos review {task.short}, then approve"
            name = f"passed-{task.id}-{activity.commit[:9]}"
            yield Notice(times.stamp(activity.time), name, "review", activity.who, task.id, text, task.path)
        if verdict in ("approved", "failed"):
            return


def _documents(board: Board, activities: Sequence[Activity], reader: str) -> Iterator[Notice]:
    """Documents that are shared with this reader, as of their last change by somebody."""
    for document in board.documents.values():
        if reader in document.shared_with:
            about = (a for a in activities if any(e.subject == document.path for e in a.events))
            activity = next(about, None)
            time = times.stamp(activity.time) if activity else document.created or ""
            name = f"shared-{document.path}-{activity.commit[:9] if activity else ''}"
            who = activity.who if activity else document.created_by or ""
            text = f"{document.title} ({document.path})"
            yield Notice(time, name, "shared", who, document.task or "", text, document.path)


def _wanted(task: Task) -> str:
    """Why a task is blocked, and how it goes on; a question ends by an answer."""
    why = task.blocked or ""
    return why if why.startswith(WAITS) else f"{why.rstrip('.')}; then agentos task unblock {task.short}"


def _is_called(board: Board, reader: str, task: Task) -> bool:
    """Whether a blocked task is for this reader: theirs, or any person's where only agents are concerned."""
    concerned = {name for name in (task.created_by, *task.assignees) if name}
    waits = task.blocked.removeprefix(f"{WAITS} ") if task.blocked else ""
    is_orphan = concerned <= board.agents.keys() and waits not in board.agents
    return reader in concerned or (is_orphan and reader not in board.agents)


def _reviews(board: Board, reader: str, task: Task) -> bool:
    """Whether a review waits for this reader: an agent that may, or a person where no agent may."""
    if reader in board.agents:
        return rules.may_review(board.agents[reader], task)
    return not any(rules.may_review(agent, task) for agent in rules.workers(board))


def _of(task: Task, kind: str, activities: Sequence[Activity], names: tuple[str, ...], text: str) -> Notice:
    """The notice about a task, as of the last activity in which such an event happened to it."""
    for activity in activities:
        if any(event.name in names and event.subject == task.id for event in activity.events):
            name = f"{kind}-{task.id}-{activity.commit[:9]}"
            return Notice(times.stamp(activity.time), name, kind, activity.who, task.id, text, task.path)
    return Notice(task.created or "", f"{kind}-{task.id}", kind, "", task.id, text, task.path)


def _team(board: Board, activities: Sequence[Activity]) -> Iterator[Notice]:
    """What people decide about the team: agents that were proposed, and needs that nobody meets."""
    for agent in board.agents.values():
        if agent.agentos.proposed_by:
            made = (a for a in activities if any(str(e) == f"agent.added {agent.name}" for e in a.events))
            activity = next(made, None)
            time = times.stamp(activity.time) if activity else ""
            name = f"proposed-{agent.name}-{activity.commit[:9] if activity else ''}"
            text = (
                f"{agent.name}{f' ({role})' if (role := agent.agentos.role) else ''} would join the team: "
                f"agentos agent show {agent.name}, then agent approve or agent remove"
            )
            yield Notice(time, name, "proposed", agent.agentos.proposed_by, "", text, agent.path)
    changed = next((a for a in activities if any(e.name.startswith("agent.") for e in a.events)), None)
    for need, task in rules.unmet(board) if rules.workers(board) else ():
        time = max(task.created or "", times.stamp(changed.time) if changed else "")
        name = f"unmet-{'-'.join(need.split())}-{changed.commit[:9] if changed else ''}"
        text = f"Nobody who can run does {need}: agentos agent add NAME --capability {shlex.quote(need)}"
        yield Notice(time, name, "unmet", "", task.id, text, task.path)


def _budgets(activities: Sequence[Activity]) -> Iterator[Notice]:
    """The runs that came near a cap: for every person, since any of them may raise it or stop."""
    for activity in activities:
        near = [value for key, value in activity.trailers if key == BUDGET]
        if near and any(event.name == NEAR for event in activity.events):
            name, text = f"budget-{activity.commit[:9]}", f"80 % is used: {', '.join(near)}"
            task = activity.trailer("Run-Task") or ""
            yield Notice(times.stamp(activity.time), name, "budget", activity.who, task, text)


def _refused(activities: Sequence[Activity], reader: str) -> Iterator[Notice]:
    for activity in activities:
        if activity.who == reader:
            reasons = [value for key, value in activity.trailers if key == REFUSED]
            text = " ".join(reasons)
            yield Notice(
                times.stamp(activity.time),
                f"refused-{activity.commit[:9]}",
                "refused",
                "",
                "",
                text,
                "WORKING.md",
            )
