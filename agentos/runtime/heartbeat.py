"""A heartbeat: one waking of one agent. Claim, work without a lock, settle in one commit."""

import os
import socket
from collections.abc import Mapping

from agentos.errors import AgentOSError
from agentos.model import times
from agentos.model.activity import Actor, events, sentence
from agentos.model.board import Board
from agentos.model.rules import SIMULATED, Assignment
from agentos.runtime import lease, liveness
from agentos.runtime import settle as settling
from agentos.runtime.beats import Beat
from agentos.runtime.failures import said_of
from agentos.runtime.job import is_still_due, open_job
from agentos.runtime.runners import RUNNERS, Work
from agentos.store import branches, claims, remote, sync
from agentos.store.draft import Draft
from agentos.store.refs import Claim
from agentos.store.repository import Store
from agentos.store.transaction import transact

MARK = " (simulated)"


def beat(
    store: Store, work: Assignment, env: Mapping[str, str] | None = None, *, is_alone: bool = False
) -> Beat:
    """Wake one agent for one task. Never raises for what goes wrong inside the run: the beat says it.

    `env` has the keys and the variables that a person listed for the agent; `is_alone` says that this process
    does nothing else, so that it may be killed when it outlives its claim. With a remote the claim is there
    as well, and what others have done up to then is taken over first.
    """
    claim = _claim(store, work, is_alone)
    there = None
    try:
        there = remote.find(store)
        if not claims.take(store, claim, there):
            return Beat(work.agent, work.task, "passed", text="somebody else holds it")
        if there is not None:
            sync.take_in(store, there, Actor(work.agent, is_agent=True))
        board = store.board()
        task = board.tasks.get(work.task)
        if task is None or not is_still_due(task, work):
            claims.drop(store, claim, there)
            return Beat(work.agent, work.task, "passed", claim.run, text="it has moved on")
        if board.agent(work.agent).agentos.runner == SIMULATED:
            if work.is_review and SIMULATED not in task.labels and branches.tip(store.git, task.id):
                claims.drop(store, claim, there)
                return Beat(
                    work.agent, work.task, "passed", claim.run, text="it is real work; a person looks at it"
                )
            return _simulate(store, work, claim, board)
        from agentos.runtime.run import Try

        return Try(open_job(store, work, claim, board, env or {})).go()
    except (AgentOSError, OSError) as error:
        claims.drop(store, claim, there)
        said = said_of(error) if isinstance(error, OSError) else str(error)
        return Beat(work.agent, work.task, "failed", claim.run, text=said)


def _claim(store: Store, work: Assignment, is_alone: bool) -> Claim:
    moment = store.clock()
    return Claim(
        task=work.task,
        agent=work.agent,
        run=claims.run_id(work.agent, moment),
        expires=times.stamp(moment + lease.LENGTH),
        pid=os.getpid(),
        host=socket.gethostname(),
        started=liveness.started(os.getpid()),
        boot=liveness.boot(),
        is_alone=is_alone,
    )


def _simulate(store: Store, work: Assignment, claim: Claim, board: Board) -> Beat:
    """A run of the simulated runner: no workspace, no cost, and nothing that could fail half-way."""
    agent = board.agents[work.agent]
    proposed = RUNNERS[SIMULATED](Work(agent, board.tasks[work.task], board, work.is_review))

    def settle(draft: Draft) -> None:
        current = draft.task(claims.require(draft, claim))
        if is_still_due(current, work):
            settling.apply(draft, current.id, proposed, agent, is_review=work.is_review)
        draft.release(current.id)

    trailers = [("Run", claim.run), ("Runner", SIMULATED)]
    by = Actor(agent.name, is_agent=True)
    result = transact(store, settle, by, trailers=trailers, mark=MARK)
    text = sentence(events(result.changes)) + MARK
    return Beat(work.agent, work.task, "settled", claim.run, result.commit, text)
