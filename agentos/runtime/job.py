"""A job: everything one run of a real runner is about, from its claim to the commit that settles it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agentos.model import times
from agentos.model.activity import Actor
from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.model.rules import Assignment
from agentos.model.words import Status
from agentos.runtime import budget, runlog
from agentos.runtime.budget import Meter
from agentos.runtime.ledger import Entry, Ledger
from agentos.runtime.runlog import RunLog
from agentos.store import runs
from agentos.store.refs import Claim
from agentos.store.repository import Store
from agentos.store.runs import Run

RECENT = 50
"""The last commits about a task, which tell of its tries; what a cap of the task counts may be older."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run: who works on what, since when, under which caps, and what history knows of earlier tries."""

    store: Store
    work: Assignment
    claim: Claim
    board: Board
    task: Task
    agent: Agent
    history: tuple[Run, ...]
    meter: Meter
    log: RunLog
    env: Mapping[str, str]
    began: datetime
    stop_at: datetime

    @property
    def by(self) -> Actor:
        return Actor(self.agent.name, is_agent=True)

    @property
    def runner(self) -> str:
        return self.agent.agentos.runner or ""

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store.local)


def open_job(store: Store, work: Assignment, claim: Claim, board: Board, env: Mapping[str, str]) -> Job:
    """The job for a claim that was just taken; reads history, changes nothing."""
    task, agent, now = board.tasks[work.task], board.agents[work.agent], store.clock()
    caps = budget.caps(board, agent, task.id, claim.run, now)
    most = None if any(cap.task for cap in caps) else RECENT
    history = tuple(runs.of_task(store, task, most, at=board.commit))
    prices = (agent.agentos.budget.usd_per_million_tokens, board.config.budget.usd_per_million_tokens)
    meter = Meter(
        Entry(claim.run, agent.name, task.id, times.stamp(now), model=agent.model or ""),
        caps,
        Ledger(store.local),
        settled(store, caps, history, now),
        next((price for price in prices if price is not None), None),
    )
    log = RunLog(runlog.folder(store.local) / claim.run, store.clock, env.values())
    limit = times.interval(board.config.run_limit) or timedelta(hours=1)
    return Job(store, work, claim, board, task, agent, history, meter, log, env, now, now + limit)


def settled(store: Store, caps: list[budget.Cap], history: tuple[Run, ...], now: datetime) -> list[Entry]:
    """What history has of the runs that these caps count, as entries of a ledger; the day's only if asked."""
    known: dict[str, Run] = {}
    if any(cap.day for cap in caps):
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        known |= {run.run: run for run in runs.since(store, midnight)}
    known |= {run.run: run for run in history if run.run}  # which names a renamed task as it is called now
    return [
        Entry(run.run, run.agent, run.task, times.stamp(run.time), run.usd, run.tokens, is_settled=True)
        for run in known.values()
    ]


def is_still_due(task: Task, work: Assignment) -> bool:
    """Whether the task is still where the agent was woken for it."""
    if work.is_review:
        return task.status is Status.REVIEW and work.agent not in task.assignees
    if work.is_answer:
        return task.is_open
    return task.status is Status.IN_PROGRESS and task.assignees[:1] == (work.agent,)


def is_still_wanted(task: Task, job: Job) -> bool:
    """Whether a run is to go on: it is due, or runs checks of work that is completed meanwhile."""
    is_told = job.runner == "checks" and job.work.is_review and task.is_completed
    return is_told or is_still_due(task, job.work)
