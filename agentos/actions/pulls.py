"""Pull requests: a task's branch at a forge, and what becomes of it there."""

import re
from collections.abc import Sequence

from agentos.actions import forges, judgement, messages, reviews
from agentos.actions.forges import FORGES, Access, Away, Forge, Pull
from agentos.actions.reviews import Review
from agentos.errors import AgentOSError, Conflict, Invalid, NotFound, Refused
from agentos.model.activity import Actor
from agentos.model.board import Board
from agentos.model.records import Task
from agentos.model.words import Status
from agentos.store import branches, remote
from agentos.store.branches import Branch
from agentos.store.draft import Draft
from agentos.store.joining import some
from agentos.store.refs import TASK_BRANCHES, Move
from agentos.store.remote import Push, Remote
from agentos.store.repository import Store
from agentos.store.transaction import Result, transact

PULL_REQUEST = "Pull-Request"
"""The trailer with its address."""

MOST_BODY, MOST_TITLE = 30_000, 200

_CALLS = re.compile(r"([@#]|GH-|issues/)(?=\w)")


def request(
    store: Store,
    ref: str,
    by: Actor,
    access: Access | None,
    *,
    to: str | None = None,
    allow_protected: bool = False,
) -> Result[Task]:
    """Push a task's branch and open a pull request for it; the task keeps its address.

    Where there is one, it gets the new commits. Raises Refused for what is not in review, has no branch, or
    touches protected paths (at many forges a branch that changes CI files runs them), and Conflict for what
    would take unpublished commits along; and, after all that, Refused where there is no access to the forge.
    """
    board = store.board()
    found = reviews.of(store, board, board.task(ref), by)
    task, branch = found.task, found.branch
    judgement.require_status(task, Status.REVIEW)
    judgement.require_here(store, task)
    if branch is None or branch.is_merged:
        raise Refused(
            f"{task.short} has no branch with anything to merge; agentos approve {task.short} closes it."
        )
    if found.protected and not allow_protected:
        raise Refused(
            f"{branch.name} changes what only a person may change: {some(found.protected)}. Look at it well; "
            f"agentos pr {task.short} --allow-protected pushes it."
        )
    there = _remote(store, to)
    forge = _forge(access, there)
    _push(there, branch)
    pull = forge.open(branch.name, store.branch, _title(task), _body(found, store.body(task)))
    return transact(
        store,
        lambda draft: draft.put(draft.task(task.id).replace(pr=pull.url)),
        by,
        trailers=[(PULL_REQUEST, pull.url)],
    )


def _remote(store: Store, wanted: str | None = None) -> Remote:
    there = remote.find(store, wanted)
    if there is None:
        raise NotFound(
            "There is no remote to push to: make one with git remote add, or name one with --remote where "
            "`remote: none` is set."
        )
    return there


def _forge(access: Access | None, there: Remote) -> Forge:
    """The forge that a remote is on. Raises Invalid where it is on none, then Refused without a token."""
    place = forges.place_of(there.addresses())
    if access is None:
        raise Refused("Set GITHUB_TOKEN to a token that may write contents and pull requests.")
    return FORGES[access.forge](access, place)


def _push(there: Remote, branch: Branch) -> None:
    """The one place where the work of agents leaves this machine: this branch alone, forward only.

    Raises Conflict where it grew from commits that are not published yet, or where the remote has another.
    """
    if not branches.is_in(there.git, branch.base, there.look().heads):
        if not branches.is_in(there.git, branch.base, [f"refs/heads/{there.branch}"]):
            raise Conflict(
                f"{branch.name} grew from commits that {there.branch} no longer has, and would take them "
                f"along: agentos approve merges its change alone, git rebase --onto {there.branch} "
                f"{branch.base[:9]} {branch.name} makes it one to push."
            )
        raise Conflict(
            f"{branch.name} grew from commits of {there.branch} that {there.name} does not have, "
            "and would take them along: agentos sync or git push first."
        )
    for refusal in there.push([Push(branch.ref, None, branch.commit)]):
        if refusal.is_race:
            raise Conflict(
                f"{branch.name} on {there.name} has commits that are not here; merge or delete them."
            )
        raise AgentOSError(f"{there.name} did not take {branch.name}: {refusal.reason}")


def _title(task: Task) -> str:
    return _quiet(f"{task.short}: {task.title}")[:MOST_TITLE]


def _body(found: Review, text: str) -> str:
    """What the pull request says: the task with its criteria, who did it, what was checked, what it cost."""
    run = found.run
    facts = [f"Task `{found.task.id}`, by {found.author or 'nobody'}"]
    facts += [f"run `{run.run}`{f' with {run.model}' if run.model else ''}"] if run else []
    lines = [", ".join(facts)]
    lines += [f"{found.checks} checks passed"] if found.checks else []
    lines += [f"{each.verdict} by {each.agent} (`{each.runner}`)" for each in found.verdicts]
    lines += [f"${found.usd:.2f}, {found.tokens:,} tokens"] if found.tokens else []
    lines += ["its commands ran without a sandbox"] if found.is_unconfined else []
    return _quiet(text)[:MOST_BODY].strip() + "\n\n---\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"


def _quiet(text: str) -> str:
    """A text that calls nobody and closes no issue, as an agent's words may try on a forge."""
    return _CALLS.sub("\\1\u200b", text)


# What becomes of it -----------------------------------------------------------------------------------------


def waiting(board: Board) -> list[Task]:
    """The tasks whose pull request may have been decided on."""
    return [task for task in board.open_tasks if task.pr and task.status is Status.REVIEW]


def follow(store: Store, tasks: Sequence[Task], access: Access | None, by: Actor) -> list[str]:
    """Ask the forge about these tasks: merged ones are done, closed ones go back with the reason.

    Gives a note for each that was decided or could not be asked about; a forge that is away is a note.
    """
    if access is None:
        return [f"Nobody asks about {some(task.pr or '' for task in tasks)}: set GITHUB_TOKEN."]
    notes = []
    try:
        forge = _forge(access, _remote(store))
        for task in tasks:
            try:
                notes += _followed(store, task, forge.look(task.pr or ""), by)
            except (Invalid, NotFound, Refused) as error:
                notes.append(f"{task.short}: {error}")
    except Away as away:
        notes.append(f"Pull requests were not asked about: {away}")
    except AgentOSError as error:
        notes.append(f"Pull requests: {error}")
    return notes


def _followed(store: Store, task: Task, pull: Pull, by: Actor) -> list[str]:
    """Do what the forge says of one pull request; gives notes."""
    if pull.state == "changes":
        mine = [each for each in store.board().messages_of(task.id) if each.author == by.name]
        told = {line for each in mine for line in store.body(each).splitlines()}
        fresh = tuple(word for word in pull.words if word.url not in told)
        pull = pull._replace(words=fresh, state="changes" if fresh else "open")
    if pull.state != "open":
        _decided(store, task, pull, by)
        return [f"{task.short}: {_SAID[pull.state]}."]
    tip = branches.tip(store.git, task.id)
    if tip in (None, pull.commit):
        return []
    return [f"{task.short}: more was handed in than its pull request has; agentos pr {task.short} pushes it."]


_SAID = {
    "merged": "its pull request was merged",
    "closed": "its pull request was closed",
    "changes": "changes are wanted on its pull request",
}


def _decided(store: Store, task: Task, pull: Pull, by: Actor) -> None:
    """Bring to the board what was decided. A branch that was merged as it stands is gone with that."""

    def decide(draft: Draft) -> None:
        current = draft.task(task.id)
        if current.pr != task.pr or current.status is not Status.REVIEW:
            return
        if pull.state != "merged":
            judgement.send_back(draft, task.id, _why(task, pull), is_over=pull.state == "closed")
            return
        became = f" as {pull.merged_as}" if _is_commit(pull.merged_as) else ""
        messages.note(draft, task.id, f"Merged{became}: {task.pr}")
        draft.put(current.replace(status=Status.DONE, blocked=None))
        if branches.tip(store.git, task.id) == pull.commit and task.id not in branches.checked_out(store.git):
            draft.moves.append(Move(TASK_BRANCHES + task.id, pull.commit, None))

    verdict = judgement.APPROVED if pull.state == "merged" else judgement.REJECTED
    judged = [(verdict, pull.commit)] if _is_commit(pull.commit) else []
    transact(store, decide, by, trailers=[(PULL_REQUEST, task.pr or ""), *judged])


def _is_commit(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", text) is not None


def _why(task: Task, pull: Pull) -> str:
    """What the author is told, with what was said there as a quotation."""
    is_over = pull.state == "closed"
    text = "The pull request was closed without being merged" if is_over else "Changes are wanted"
    parts = [f"{text}: {task.pr}"]
    for word in pull.words:
        said = "".join(char if char.isprintable() or char in "\t\n" else " " for char in word.text)
        quoted = "\n".join(f"> {line}".rstrip() for line in said.split("\n"))
        parts.append(f"{word.url}\n\n{quoted}".strip())
    return "\n\n".join(parts)
