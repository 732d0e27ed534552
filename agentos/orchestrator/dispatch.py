"""Dispatch: who is woken for what, in the one commit of a tick's own step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from agentos.errors import Invalid, Refused
from agentos.model import rules
from agentos.model.activity import Actor, short
from agentos.model.board import Board
from agentos.model.records import Task
from agentos.model.rules import Assignment
from agentos.model.words import Status
from agentos.orchestrator import schedule
from agentos.orchestrator.schedule import Wake
from agentos.store import branches
from agentos.store.draft import Draft
from agentos.store.refs import Refs
from agentos.store.repository import Store
from agentos.store.transaction import Result, transact

if TYPE_CHECKING:
    from agentos.actions.forges import Access
    from agentos.runtime.nursery import Nursery

ORCHESTRATOR = Actor("orchestrator", is_agent=True)

PAUSED = "`paused: true` in board/config.yml stops every agent."

Given = tuple[Board, list[Assignment]]
"""The board after the step, and who is to be woken for what."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to tick: only one agent, how many heartbeats side by side, whatever the schedule says.

    `keys` and `variables` are what a person gave: keys to every run but the checks', of the variables those
    that an agent's file lists. `nursery` starts a heartbeat in a process of its own; without it, and
    for simulated agents, heartbeats are threads of this one.
    """

    agent: str | None = None
    jobs: int = 4
    force: bool = False
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    nursery: "Nursery | None" = None
    busy: frozenset[str] = frozenset()
    """Agents that are not woken: at work for an earlier tick of this process, or not confined here."""
    is_waking: bool = True
    """Whether agents are woken at all: not while the remote can't be asked who does what."""
    access: "Access | None" = None
    """The forge to ask about pull requests."""


def preview(store: Store, options: Options) -> tuple[list[str], list[Assignment]]:
    """What a tick would do now: the steps of its own commit, and whom it would wake. Changes nothing."""
    now = store.clock().astimezone(UTC)
    board = store.board()
    wakes = schedule.load(store.local)
    wakes = schedule.pruned(wakes, board)
    waking = _waking(board, wakes, now, options)
    steps = []
    for task in rules.orchestrate(board, now, waking):
        who = ", ".join(task.assignees)
        steps.append(f"{task.id}: {board.tasks[task.id].status} → {task.status} ({who})")
    taken = _taken(store.refs(), wakes, now) | _kept(board, branches.checked_out(store.git))
    return steps, _plan(board, wakes, waking, now, taken)


def _taken(held: Refs, wakes: schedule.Wakes, now: datetime) -> set[str]:
    """The tasks that nobody is to be woken for: somebody has them, here or elsewhere, or they rest."""
    return {*held.claims, *held.theirs, *_resting(wakes, now)}


def _kept(board: Board, away: Iterable[str]) -> set[str]:
    """Of the tasks that somebody has checked out, those that are left to them."""
    return {name for name in away if name in board.tasks and _waits_for_branch(board.tasks[name])}


def _resting(wakes: schedule.Wakes, now: datetime) -> set[str]:
    """The tasks that failed a short while ago and are not to be tried yet."""
    return {task for wake in wakes.values() for task in wake.resting(now)}


class _Unconfined(Exception):
    """Of the woken agents these run commands, and some of them (`due`) have something to do; nobody has tried
    the sandbox yet, nor looked who has a task's branch checked out."""

    def __init__(self, names: Iterable[str], due: Iterable[str], setting: str) -> None:
        self.names = frozenset(names)
        self.due = frozenset(due)
        self.setting = setting


class GivenOut(NamedTuple):
    """The commit of the tick's own step, and whom it left asleep.

    `refused` says for whom there is no sandbox; `kept` has the tasks that somebody has checked out, each with
    the agent that will go on with it and the folder.
    """

    result: Result[Given]
    refused: str = ""
    kept: tuple[tuple[str, str, str], ...] = ()

    @property
    def notes(self) -> list[str]:
        return [
            f"{agent} does not go on with {short(task)} while agentos/{task} is checked out in {place}; "
            "it will once another branch is there."
            for task, agent, place in self.kept
        ]


def give_out(store: Store, wakes: schedule.Wakes, now: datetime, options: Options) -> GivenOut:
    """Give out ready work, and start that of the agents about to wake.

    The sandbox is tried, and branches are looked at, outside of the lock, and only where somebody who runs
    commands has something to do.
    """

    def decided(options: Options, away: Mapping[str, str] | None) -> Result[Given]:
        def decide(draft: Draft) -> Given:
            return _orchestrate(draft, wakes, now, options, away)

        return transact(store, decide, ORCHESTRATOR)

    try:
        return GivenOut(decided(options, None))
    except _Unconfined as found:
        untried = found
    if options.nursery is not None:
        options.nursery.open()
    refused = _refused(untried)
    busy = options.busy | untried.names if refused else options.busy
    away = branches.checked_out(store.git)
    result = decided(replace(options, busy=busy), away)
    kept = [
        (task.id, task.assignees[0], away[task.id])
        for task in result.value[0].open_tasks
        if task.id in away and _waits_for_branch(task) and untried.names.intersection(task.assignees[:1])
    ]
    return GivenOut(result, refused, tuple(kept))


def _waits_for_branch(task: Task) -> bool:
    """Whether work on a task waits while its branch is checked out; looking at it in review does not."""
    return not task.blocked and task.status is not Status.REVIEW


def _refused(untried: _Unconfined) -> str:
    from agentos.runtime import sandbox

    try:
        sandbox.find(untried.setting)
    except Refused as why:
        names = ", ".join(sorted(untried.due))
        return f"Not woken: {names}. {why}"
    return ""


def _orchestrate(
    draft: Draft, wakes: schedule.Wakes, now: datetime, options: Options, away: Mapping[str, str] | None
) -> Given:
    """`away` are the tasks that somebody has checked out, with the folder; None where nobody has looked."""
    wakes = schedule.pruned(wakes, draft.board)
    waking = _waking(draft.board, wakes, now, options)
    for task in rules.orchestrate(draft.board, now, waking):
        if task.id not in (away or ()):
            draft.put(task)
    taken = _taken(draft.refs, wakes, now) | _kept(draft.board, away or ())
    work = _plan(draft.board, wakes, waking, now, taken)
    names = {name for name in waking if rules.runs_commands(draft.board.agents[name])}
    due = names.intersection(item.agent for item in work)
    if away is None and due:
        raise _Unconfined(names, due, draft.board.config.sandbox)
    return draft.board, work


def _waking(board: Board, wakes: schedule.Wakes, now: datetime, options: Options) -> list[str]:
    if board.config.paused and options.agent:
        raise Refused(f"{options.agent} can't be woken: {PAUSED}")
    if board.config.paused or not options.is_waking:
        return []
    if options.agent:
        agent = board.agent(options.agent)
        if agent.name in board.unread:
            raise Invalid(f"{agent.path} can't be read as it is now; agentos doctor says where.")
        why = rules.cannot_run(agent)
        if why:
            raise Refused(f"{agent.name} can't be woken: {why}.")
        return [agent.name] if agent.name not in options.busy else []
    called = schedule.waking(board, wakes, now, options.force)
    return [name for name in called if name not in options.busy]


def _plan(
    board: Board, wakes: schedule.Wakes, waking: Sequence[str], now: datetime, taken: Iterable[str]
) -> list[Assignment]:
    """Who is woken for what: nobody without something to do, and no task twice."""
    held = set(taken)
    work = []
    for name in waking:
        looked = wakes[name].looked if name in wakes else ()
        chosen = rules.work_for(board, board.agents[name], now, held, looked)
        if chosen:
            held.add(chosen.task)
            work.append(chosen)
    return work


def woken(wakes: schedule.Wakes, board: Board, work: Sequence[Assignment], now: datetime) -> dict[str, Wake]:
    """The wakes after these assignments; what is no longer addressed to an agent is forgotten."""
    after = schedule.pruned(wakes, board)
    for item in work:
        agent, last = board.agents[item.agent], wakes.get(item.agent) or Wake(now)
        status = f"{item.task}:{board.tasks[item.task].status}"
        asked = {f"{each.task}:{each.id}" for each in rules.questions(board, agent) if each.task == item.task}
        met = {*({status} if not item.is_answer else ()), *(asked if not item.is_review else ())}
        rests = {task: until for task, until in last.rests.items() if until > now}
        seen = after[item.agent].seen if item.agent in after else frozenset()
        hops = schedule.hops(board, agent, wakes, now) or 0
        after[item.agent] = Wake(now, seen | met, rests, hops)
    return after


def held_up(wakes: schedule.Wakes, kept: Iterable[tuple[str, str, str]], now: datetime) -> dict[str, Wake]:
    """The wakes with these tasks due at once, so that no schedule holds them up when their branch is free."""
    after = dict(wakes)
    for task, agent, _ in kept:
        last = after.get(agent) or Wake(now)
        if task not in last.rests:
            after[agent] = replace(last, rests={**last.rests, task: now})
    return after
