"""Judgement: an approval merges the work that was looked at, a rejection sends it back."""

from collections.abc import Sequence
from typing import NamedTuple

from agentos.actions import messages, reviews, tasks
from agentos.errors import Conflict, NotFound, Refused, Usage
from agentos.model.activity import Actor
from agentos.model.board import Board
from agentos.model.markdown import criteria
from agentos.model.records import Task
from agentos.model.words import Status
from agentos.store import branches, landing, looks, runs
from agentos.store.branches import Branch
from agentos.store.draft import Draft
from agentos.store.joining import Clash, some
from agentos.store.looks import Look
from agentos.store.refs import Move
from agentos.store.repository import Store
from agentos.store.transaction import Result, transact

APPROVED, REJECTED = "Approved", "Rejected"
"""The trailers that name the commit which was judged."""

MERGE = "merge"
"""The label of a task that brings work to a branch which has moved on below it."""

MOST_PATHS = 50


class Approved(NamedTuple):
    """The task that is done, the branch that was merged for it, if any, and the checks not seen to pass."""

    task: Task
    merged: Branch | None
    unseen: tuple[str, ...] = ()


def approve(
    store: Store,
    ref: str,
    by: Actor,
    *,
    commit: str | None = None,
    text: str = "",
    allow_protected: bool = False,
) -> Result[Approved]:
    """Merge a task's branch into the board's, and the task is done, in one commit.

    It is for the commit that `by` was last shown, or for `commit`. Raises NotFound for work that is in
    another clone, Refused for what is not in review or what nobody has looked at, for an author's own and for
    protected paths; Conflict where it has another difference by now, and where the person has edits in the
    way. Where the merge itself has conflicts, nothing is merged, they become a task for the author, and
    Conflict names it.
    """
    board = store.board()
    task = board.task(ref)
    branch = branches.of(store, task.id)
    lands = branch if branch and not branch.is_merged and not _came_otherwise(board, task, branch) else None
    if commit is None:
        require_here(store, task)
    if lands is not None:
        _require_may_merge(store, board, task, by)
        _require_look(store, task, lands, by, commit)

    boxes = criteria(store.body(task))
    unseen = tuple(box.check for box in boxes if box.check and not box.is_ticked)

    def decide(draft: Draft) -> Approved:
        return Approved(_approve(draft, store, task.id, lands, text, allow_protected), lands, unseen)

    trailers = [(APPROVED, lands.commit)] if lands else []
    try:
        return transact(store, decide, by, trailers=trailers)
    except Clash as clash:
        assert lands is not None
        raise _follow_up(store, task, lands, by, clash) from None


def _came_otherwise(board: Board, task: Task, branch: Branch) -> bool:
    """Whether a part of the task has brought this very commit's change to the board's branch."""
    return any(part.merges == branch.commit and part.is_completed for part in board.children.get(task.id, ()))


def require_here(store: Store, task: Task) -> None:
    """Raises NotFound where what was handed in last is in another clone: sync takes no task branch along."""
    missing = reviews.absent(store, runs.of_task(store, task))
    if missing:
        raise NotFound(away(task, missing))


def away(task: Task, commit: str) -> str:
    """What to say of work that is in another clone."""
    name = f"agentos/{task.id}"
    return (
        f"What was handed in for {task.short} ({commit[:9]}) is not in this clone: approve it where it was "
        f"made, or bring it here with git fetch REMOTE {name}:{name}."
    )


def _require_may_merge(store: Store, board: Board, task: Task, by: Actor) -> None:
    """Raises Refused where somebody else is to merge, and for an agent's own work."""
    if by.is_agent:
        handed_in = (run.agent for run in runs.of_task(store, task) if run.commit and not run.verdict)
        if board.config.merge != "checks" or by.name in (*task.assignees, *handed_in):
            raise Refused(
                f"{by.name} can't approve {task.short}: that is for a person, or for another agent."
            )
    elif board.config.merge == "pr":
        raise Refused(
            f"`merge: pr` in board/config.yml: {task.short} is merged where its pull request is "
            f"(agentos pr {task.short})."
        )


def _require_look(store: Store, task: Task, branch: Branch, by: Actor, commit: str | None) -> None:
    """Raises Refused where nobody has looked, and Conflict where something else was looked at."""
    if commit is not None:
        named = store.git.commit_of(commit)
        seen = Look(named, branches.base(store.git, str(store.refs().head), named))
    else:
        last = looks.last(store.local, by.name, task.id)
        if last is None:
            raise Refused(
                f"An approval is for what you have seen: agentos review {task.short} shows it, then approve."
            )
        seen = last
    if not reviews.is_same(store, seen, branch):
        raise Conflict(
            f"{branch.name} has moved from {seen.commit[:9]} to {branch.commit[:9]} since, with another "
            f"difference: agentos review {task.short} --new"
        )


def _approve(
    draft: Draft, store: Store, name: str, branch: Branch | None, text: str, allow_protected: bool
) -> Task:
    task = draft.task(name)
    require_status(task, Status.REVIEW, *([Status.DONE] if branch else []))
    if branch is not None:
        _land(draft, store, name, branch, allow_protected)
    if text.strip() or not task.is_open:
        messages.add(draft, name, text.strip() or "Approved.")
    return tasks.move(draft, name, Status.DONE)


def require_status(task: Task, *fine: Status) -> None:
    """Raises Refused for a task that stands elsewhere."""
    if task.status not in fine:
        raise Refused(f"{task.short} is {task.status}; only work in review can be judged (agentos review).")


def _land(draft: Draft, store: Store, name: str, branch: Branch, allow_protected: bool) -> None:
    """Take the branch into the draft, as long as it stands where it stood."""
    if branches.tip(store.git, name) != branch.commit:
        raise Conflict(f"{branch.name} was moved meanwhile: agentos review {name}")
    draft.moves.append(Move(branch.ref, branch.commit, branch.commit))
    head = draft.refs.head
    base = branches.grew_from(store.git, head, branch.commit) if head else None
    joined = landing.take(draft, store, branch.commit, branch.name, base)
    paths, allow = joined.files if joined else (), reviews.allowed(draft.before)
    found = reviews.guarded(paths, store.prefix, allow)
    if found and not (allow_protected and not draft.by.is_agent):
        raise Refused(
            f"{branch.name} changes what only a person may change: {some(found)}. Look at it well; "
            f"agentos approve {name} --allow-protected lets it in."
        )
    steering = reviews.steering(paths, allow)
    if steering and draft.by.is_agent:
        raise Refused(
            f"{branch.name} changes what steers people's agents, editors or tools: {some(steering)}. That is "
            f"for a person: agentos review {name}, then agentos approve {name}."
        )


def reject(store: Store, ref: str, by: Actor, reason: str) -> Result[Task]:
    """Send work back to its author, with the reason as a message that the next run reads.

    Raises Refused for what is not in review, Usage without a reason.
    """
    if not reason.strip():
        raise Usage("Say what is wrong with it: agentos reject TASK -m REASON")
    task = store.board().task(ref)
    tip = branches.tip(store.git, task.id)

    def decide(draft: Draft) -> Task:
        return send_back(draft, task.id, reason)

    return transact(store, decide, by, trailers=[(REJECTED, tip)] if tip else [])


def send_back(draft: Draft, ref: str, reason: str, *, is_over: bool = True) -> Task:
    """A task back in progress, with the reason said; what it was blocked for is answered by that.

    Unless it is over, its pull request stays the task's.
    """
    task = draft.task(ref)
    require_status(task, Status.REVIEW)
    messages.add(draft, task.id, reason)
    return draft.put(task.replace(status=Status.IN_PROGRESS, blocked=None, pr=None if is_over else task.pr))


# A conflict -------------------------------------------------------------------------------------------------


def _follow_up(store: Store, task: Task, branch: Branch, by: Actor, clash: Clash) -> Conflict:
    """Make a conflict a task of the author's; gives what is to be said of it."""

    def decide(draft: Draft) -> Task:
        current = draft.task(task.id)
        who = [name for name in current.assignees[:1] if draft.board.is_name_taken(name)]
        return tasks.add(
            draft,
            f"Bring {task.short} to {store.branch} as it is now",
            body=_what_to_do(task, branch, store.branch, clash.paths),
            criteria=[f"`{store.branch}` has the change of {task.short}, and nothing else is lost"],
            parent=task.id,
            assignees=who,
            needs=list(current.needs),
            labels=[MERGE],
            priority=current.priority,
            merges=branch.commit,
        )

    made = transact(store, decide, by).value
    return Conflict(
        f"{branch.name} and {store.branch} changed the same lines: {some(clash.paths)}. Nothing was merged; "
        f"{made.short} ({', '.join(made.assignees) or 'nobody has it yet'}) brings it over as it is now."
    )


def _what_to_do(task: Task, branch: Branch, onto: str, paths: Sequence[str]) -> str:
    """The task's text; paths are an agent's words, so they stand in a fence that they can't close."""
    plain = ("".join(c if c.isprintable() and c != "`" else "?" for c in path) for path in paths[:MOST_PATHS])
    listed = "\n".join(plain)
    more = f"\n\n… and {len(paths) - MOST_PATHS} more." if len(paths) > MOST_PATHS else ""
    return (
        f"The work on {task.id} was approved, but {onto} has changed the same lines meanwhile:\n\n"
        f"```\n{listed}\n```{more}\n\nStart from {onto} as it is now and make the same change again: "
        f"`git diff {branch.base} {branch.commit}` shows it."
    )
