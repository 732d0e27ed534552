"""Regressions: checks that fail on work which the board's branch has already become a bug-fix task."""

from agentos.actions import messages, tasks
from agentos.model.records import Task
from agentos.model.words import Status
from agentos.runtime.job import Job
from agentos.runtime.outbox import Outbox, SendBack, Tick
from agentos.store import branches
from agentos.store.draft import Draft

BUG = "bug"
"""The label of a task that mends what was merged."""

MOST_NAMED = 80
"""Characters of a check in a title."""


def is_one(job: Job, task: Task, outbox: Outbox, tip: str) -> bool:
    """Whether checks failed on work that is merged, meanwhile or before; `tip` is what they looked at."""
    if not outbox.failing or task.status not in (Status.REVIEW, Status.DONE):
        return False
    handed_in = (run.commit for run in job.history if run.commit and not run.verdict)
    commit, head = tip or next(handed_in, ""), job.store.refs().head
    return task.is_completed or bool(commit and head and branches.is_in(job.store.git, commit, [head]))


def report(draft: Draft, task: Task, outbox: Outbox, onto: str) -> Task:
    """A part of the task that mends it, for its author; the task waits for that, and is then reviewed again.

    The checks that failed are the part's own criteria, and what they printed is its text.
    """
    said = "\n\n".join(action.reason for action in outbox.actions if isinstance(action, SendBack))
    for action in outbox.actions:
        if isinstance(action, Tick):
            tasks.tick(draft, task.id, action.number, action.is_ticked)
    more = f" and {len(outbox.failing) - 1} more" if len(outbox.failing) > 1 else ""
    made = tasks.add(
        draft,
        f"Fix {task.short}: {outbox.failing[0][:MOST_NAMED]} fails on {onto}{more}",
        body=f"The work on {task.id} is merged, and does not pass on {onto}.\n\n{said}",
        checks=outbox.failing,
        parent=task.id,
        assignees=[name for name in task.assignees[:1] if draft.board.is_name_taken(name)],
        needs=list(task.needs),
        touches=list(task.touches),
        labels=[BUG],
        priority=task.priority,
    )
    text = f"This is merged already, and does not pass on {onto}; {made.id} mends it."
    messages.add(draft, task.id, text, type="status_update")
    return made
