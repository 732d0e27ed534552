"""Dispatch: who is woken for what, in the one commit of a tick's own step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agentos.errors import Invalid, Refused
from agentos.model import rules
from agentos.model.activity import Actor
from agentos.model.board import Board
from agentos.model.rules import Assignment
from agentos.orchestrator import schedule
from agentos.orchestrator.schedule import Wake
from agentos.store.draft import Draft
from agentos.store.refs import Refs
from agentos.store.repository import Store
from agentos.store.transaction import Result, transact

if TYPE_CHECKING:
    from agentos.actions.forges import Access

ORCHESTRATOR = Actor("orchestrator", is_agent=True)

Given = tuple[Board, list[Assignment]]
"""The board after the step, and who is to be woken for what."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to tick: only one agent, how many heartbeats side by side, whatever the schedule says.

    `keys` and `variables` are what a person gave: keys to every run but the checks', of the variables those
    that an agent's file lists. `apart` starts a heartbeat in a process of its own; without it, and for
    simulated agents, heartbeats are threads of this one.
    """

    agent: str | None = None
    jobs: int = 4
    force: bool = False
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    apart: tuple[str, ...] = ()
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
    waking = _waking(board, wakes, now, options)
    steps = []
    for task in rules.orchestrate(board, now, waking):
        who = ", ".join(task.assignees)
        steps.append(f"{task.id}: {board.tasks[task.id].status} → {task.status} ({who})")
    return steps, _plan(board, waking, now, _taken(store.refs(), wakes, now))


def _taken(held: Refs, wakes: schedule.Wakes, now: datetime) -> set[str]:
    """The tasks that nobody is to be woken for: somebody has them, here or elsewhere, or they rest."""
    return {*held.claims, *held.theirs, *_resting(wakes, now)}


def _resting(wakes: schedule.Wakes, now: datetime) -> set[str]:
    """The tasks that failed a short while ago and are not to be tried yet."""
    return {task for wake in wakes.values() for task in wake.resting(now)}


class _Unconfined(Exception):
    """These agents would be given something to run, and nobody has tried the sandbox yet."""

    def __init__(self, names: Iterable[str], setting: str) -> None:
        self.names = frozenset(names)
        self.setting = setting


def give_out(
    store: Store, wakes: schedule.Wakes, now: datetime, options: Options
) -> tuple[Result[Given], str]:
    """The commit of the tick's own step, and whom it left asleep for want of a sandbox, in words.

    The sandbox is tried outside of the lock, and only where somebody who runs commands has something to do.
    """

    def decided(options: Options, *, is_tried: bool) -> Result[Given]:
        def decide(draft: Draft) -> Given:
            return _orchestrate(draft, wakes, now, options, is_tried=is_tried)

        return transact(store, decide, ORCHESTRATOR)

    try:
        return decided(options, is_tried=False), ""
    except _Unconfined as found:
        untried = found
    refused = _refused(untried)
    busy = options.busy | untried.names if refused else options.busy
    return decided(replace(options, busy=busy), is_tried=True), refused


def _refused(untried: _Unconfined) -> str:
    from agentos.runtime import sandbox

    try:
        sandbox.find(untried.setting)
    except Refused as why:
        names = ", ".join(sorted(untried.names))
        return f"Not woken: {names}. {why}"
    return ""


def _orchestrate(
    draft: Draft, wakes: schedule.Wakes, now: datetime, options: Options, *, is_tried: bool
) -> Given:
    waking = _waking(draft.board, wakes, now, options)
    for task in rules.orchestrate(draft.board, now, waking):
        draft.put(task)
    work = _plan(draft.board, waking, now, _taken(draft.refs, wakes, now))
    if not is_tried and any(rules.runs_commands(draft.board.agents[item.agent]) for item in work):
        names = [name for name in waking if rules.runs_commands(draft.board.agents[name])]
        raise _Unconfined(names, draft.board.config.sandbox)
    return draft.board, work


def _waking(board: Board, wakes: schedule.Wakes, now: datetime, options: Options) -> list[str]:
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


def _plan(board: Board, waking: Sequence[str], now: datetime, taken: Iterable[str]) -> list[Assignment]:
    """Who is woken for what: nobody without something to do, and no task twice."""
    held = set(taken)
    work = []
    for name in waking:
        chosen = rules.work_for(board, board.agents[name], now, held)
        if chosen:
            held.add(chosen.task)
            work.append(chosen)
    return work


def woken(wakes: schedule.Wakes, board: Board, work: Sequence[Assignment], now: datetime) -> dict[str, Wake]:
    """The wakes after these assignments; what is no longer addressed to an agent is forgotten."""
    after = dict(wakes)
    for item in work:
        last = wakes.get(item.agent)
        current = set(schedule.addressed(board, board.agents[item.agent]))
        seen = (set(last.seen) if last else set()) & current
        seen.add(f"{item.task}:{board.tasks[item.task].status}")
        rests = {task: until for task, until in (last.rests if last else {}).items() if until > now}
        after[item.agent] = Wake(now, frozenset(seen), rests)
    return after
