"""Settling: the outbox of a run applied to an open draft, as far as the rules let it."""

from collections.abc import Iterable, Sequence

from agentos.actions import agents, documents, memory, messages, tasks
from agentos.errors import AgentOSError, Refused
from agentos.model.consequences import WAITS
from agentos.model.records import Agent, Task
from agentos.model.rules import ANSWERING, SIMULATED, cannot_run
from agentos.model.words import Status
from agentos.runtime import outbox as o
from agentos.runtime import permission, secrets
from agentos.runtime.failures import ChecksFailed
from agentos.runtime.outbox import Outbox
from agentos.runtime.runlog import cut
from agentos.store.draft import Draft

MOST_SAID, MOST_LEFT_OUT = 2000, 50_000
"""Characters on the board of one thing that was left out, and of all: they name what an agent has named, and
a message larger than a record can be would cost the run everything else."""


def apply(
    draft: Draft,
    task: str,
    outbox: Outbox,
    by: Agent,
    *,
    is_review: bool = False,
    is_answer: bool = False,
    has_diff: bool = False,
    is_kept: bool = False,
    left: Iterable[str] = (),
    known: Sequence[str] = (),
) -> list[str]:
    """Apply an outbox to an open draft, as its actor.

    Each action stands for itself: one that is refused, or that the board does not take, is left out, and a
    comment on the task says so; the rest is applied. `has_diff` is whether a commit is handed in, `left` what
    it left out already; `is_kept` is whether the work stands on a branch, so that passing it is a verdict and
    the task is done once it is merged. `known` are the secrets that the run was given. Gives all
    that was left out. Raises ChecksFailed for work that is handed in without anything to show.
    """
    refused = list(left)
    for action, why in permission.beyond(outbox.actions):
        mine = draft.task(task)
        try:
            action = permission.in_full(draft.board, action)
        except AgentOSError as error:
            why = why or secrets.redact(str(error), known)
        why = why or (permission.beyond_an_answer(action) if is_answer else None)
        why = why or permission.why_not(draft.board, mine, by, action, is_review, known)
        if why is None and isinstance(action, o.Submit):
            _require_evidence(draft, mine, outbox, has_diff)
        try:
            with draft.all_or_nothing():
                if why is not None:
                    raise Refused(why)
                _apply(draft, mine, _as_verdict(action, mine) if is_kept else action)
        except AgentOSError as error:
            refused.append(f"{_name(action)}: {error}")
    if refused:
        lines = "\n".join(f"- {cut(line, MOST_SAID)}" for line in refused)
        said = f"Left out of this run:\n\n{cut(lines, MOST_LEFT_OUT)}"
        messages.add(draft, task, said, type="status_update")
    if outbox.handoff.strip():
        messages.add(draft, task, secrets.redact(outbox.handoff, known), type="status_update")
    if outbox.is_simulated:
        tasks.edit(draft, task, {}, add_to={"labels": [SIMULATED]})
    return refused


def _as_verdict(action: o.Action, task: Task) -> o.Action:
    """An approval of work on a branch: said, and the merge is left to whoever may do it."""
    if not isinstance(action, o.Approve):
        return action
    note = f"{action.note}\n\n" if action.note.strip() else ""
    return o.Comment(f"{note}Passed; `agentos approve {task.short}` merges it.", type="status_update")


def _require_evidence(draft: Draft, task: Task, outbox: Outbox, has_diff: bool) -> None:
    """Work that is handed in has something to show: a diff or a document, or says that it is simulated."""
    written = any(isinstance(action, o.WriteDocument) for action in outbox.actions)
    earlier = any(document.task == task.id for document in draft.board.documents.values())
    if not (has_diff or written or earlier or outbox.is_simulated):
        raise ChecksFailed("Handed in without a diff and without a document: there is nothing to review.")


def _name(action: o.Action) -> str:
    return next((name for name, kind in o.ACTIONS.items() if type(action) is kind), "tick")


def _apply(draft: Draft, task: Task, action: o.Action) -> None:
    match action:
        case o.Comment(text, name, kind, reply_to):
            messages.add(draft, name or task.id, text, type=kind, reply_to=reply_to)
        case o.Ask(text, to):
            _ask(draft, task, text, to)
        case o.Block(reason):
            tasks.block(draft, task.id, reason)
        case o.CreateTask():
            _create(draft, task, action)
        case o.UpdateTask():
            _update(draft, task, action)
        case o.Assign(name, names):
            tasks.assign(draft, name, names)
        case o.WriteDocument(path, title, text, kind):
            documents.write(draft, path, title, text, type=kind, task=task.id)
        case o.Remember(text, name):
            memory.remember(draft, draft.by.name, name, text)
        case o.ProposeAgent():
            _propose(draft, task, action)
        case _:
            _move(draft, task, action)


def _move(draft: Draft, task: Task, action: o.Action) -> None:
    """The steps of the task itself, with what is said about each."""
    match action:
        case o.Submit(summary):
            _say(draft, task, summary)
            tasks.forget_checks(draft, task.id)
            tasks.move(draft, task.id, Status.REVIEW)
        case o.Approve(note):
            _say(draft, task, note)
            tasks.move(draft, task.id, Status.DONE)
        case o.SendBack(reason):
            _say(draft, task, reason)
            tasks.move(draft, task.id, Status.IN_PROGRESS)
        case o.Tick(number, is_ticked):
            tasks.tick(draft, task.id, number, is_ticked)


def _say(draft: Draft, task: Task, text: str) -> None:
    if text.strip():
        messages.add(draft, task.id, text, type="status_update")


def _ask(draft: Draft, task: Task, text: str, to: str) -> None:
    """A question to one who can answer; the task waits for it (`consequences` lets it go on)."""
    who = tasks.member(draft, to or task.created_by or "")
    if who == draft.by.name:
        raise Refused("you can't ask yourself; ask a person")
    asked = draft.board.agents.get(who)
    if asked is not None and (cannot_run(asked) or asked.agentos.runner not in ANSWERING):
        raise Refused(f"{who} is an agent that can't answer; ask a person")
    named = text if f"@{who}" in text else f"@{who} {text}"
    messages.add(draft, task.id, named, type="question")
    tasks.block(draft, task.id, f"{WAITS} {who}")


def _create(draft: Draft, task: Task, action: o.CreateTask) -> None:
    tasks.add(
        draft,
        action.title,
        body=action.body,
        checks=action.checks,
        criteria=action.criteria,
        parent=action.parent or task.id,
        needs=list(action.needs),
        depends_on=list(action.depends_on),
        touches=list(action.touches),
        labels=list(action.labels),
        priority=action.priority,
        estimate=action.estimate,
        due=action.due,
    )


def _update(draft: Draft, task: Task, action: o.UpdateTask) -> None:
    names = ("title", "priority", "estimate", "due", "needs", "touches", "depends_on")
    given = {name: getattr(action, name) for name in names if getattr(action, name) is not None}
    changes = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    tasks.edit(draft, action.task or task.id, changes, add_to={"labels": list(action.labels)})


def _propose(draft: Draft, task: Task, action: o.ProposeAgent) -> None:
    """An agent file that does nothing until a person approves it."""
    agents.propose(
        draft, action.name, role=action.role, capabilities=action.capabilities, body=action.instructions
    )
    how = f"`agentos agent show {action.name}`, then `agentos agent approve {action.name}`"
    ask = f"{action.why}\n\nA proposal for the team: {how}."
    messages.add(draft, task.id, ask, type="status_update")
