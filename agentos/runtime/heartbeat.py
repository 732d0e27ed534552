"""A heartbeat: one waking of one agent. Claim, work without a lock, settle in one commit."""

import os
import socket
from dataclasses import dataclass
from datetime import timedelta

from agentos.errors import AgentOSError
from agentos.model import times
from agentos.model.activity import Actor, events, sentence
from agentos.model.records import Task
from agentos.model.rules import Assignment
from agentos.model.words import Status
from agentos.runtime import liveness
from agentos.runtime import settle as settling
from agentos.runtime.runners import RUNNERS, Work
from agentos.store import claims
from agentos.store.draft import Draft
from agentos.store.refs import Claim
from agentos.store.repository import Store
from agentos.store.transaction import transact

WALL = timedelta(minutes=60)
"""How long a run may take; its claim expires then."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What one heartbeat came to: `settled` with its commit, `passed` (somebody else has it), or `failed`."""

    agent: str
    task: str
    outcome: str
    run: str = ""
    commit: str | None = None
    text: str = ""


def beat(store: Store, work: Assignment) -> Beat:
    """Wake one agent for one task. Never raises for what goes wrong inside the run: the beat says it."""
    moment = store.clock()
    claim = Claim(
        task=work.task,
        agent=work.agent,
        run=claims.run_id(work.agent, moment),
        expires=times.stamp(moment + WALL),
        pid=os.getpid(),
        host=socket.gethostname(),
        started=liveness.started(os.getpid()),
        boot=liveness.boot(),
    )
    if not claims.take(store, claim):
        return Beat(work.agent, work.task, "passed", text="somebody else holds it")
    try:
        return _run(store, work, claim)
    except AgentOSError as error:
        claims.drop(store, claim)
        return Beat(work.agent, work.task, "failed", claim.run, text=str(error))


def _run(store: Store, work: Assignment, claim: Claim) -> Beat:
    board = store.board()
    task = board.tasks.get(work.task)
    if task is None or not is_still_due(task, work):
        claims.drop(store, claim)
        return Beat(work.agent, work.task, "passed", claim.run, text="it has moved on")
    agent = board.agent(work.agent)
    proposed = RUNNERS[agent.agentos.runner or ""](Work(agent, task, board, work.is_review))
    by = Actor(agent.name, is_agent=True)

    def settle(draft: Draft) -> None:
        current = draft.task(claims.require(draft, claim))
        if is_still_due(current, work):
            settling.apply(draft, current.id, proposed, agent, is_review=work.is_review)
        draft.release(current.id)

    trailers = [("Run", claim.run), ("Runner", str(agent.agentos.runner))]
    mark = " (simulated)" if proposed.is_simulated else ""
    result = transact(store, settle, by, trailers=trailers, mark=mark)
    text = sentence(events(result.changes)) + mark
    return Beat(work.agent, work.task, "settled", claim.run, result.commit, text)


def is_still_due(task: Task, work: Assignment) -> bool:
    """Whether the task is still where the agent was woken for it."""
    if work.is_review:
        return task.status is Status.REVIEW and work.agent not in task.assignees
    return task.status is Status.IN_PROGRESS and task.assignees[:1] == (work.agent,)
