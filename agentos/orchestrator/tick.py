"""A tick: one pass of the scheduler. Reconcile, orchestrate, dispatch, wake; then it is over."""

import contextlib
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Union

from agentos.errors import AgentOSError, Invalid, NotFound, Refused
from agentos.model import rules, times
from agentos.model.activity import Actor, events, sentence
from agentos.model.board import Board
from agentos.model.records import Agent
from agentos.model.rules import Assignment
from agentos.orchestrator import schedule
from agentos.orchestrator.schedule import Wake
from agentos.runtime.ledger import Ledger
from agentos.store import remote, sync
from agentos.store.draft import Draft
from agentos.store.lock import try_lock
from agentos.store.refs import Refs
from agentos.store.remote import Away, Remote
from agentos.store.repository import Store
from agentos.store.transaction import transact

if TYPE_CHECKING:
    from agentos.actions.forges import Access
    from agentos.runtime.beats import Beat

ORCHESTRATOR = Actor("orchestrator", is_agent=True)

ANOTHER = "Another tick is at work here."

OnBeat = Callable[[Union[Assignment, "Beat", str]], None]
"""Told of what was given out, in words, and of each heartbeat when it starts and when it is over."""


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
    settle: float = 0.02
    """Seconds a hand edit must have been left alone to be committed."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    apart: tuple[str, ...] = ()
    busy: frozenset[str] = frozenset()
    """Agents that are at work for an earlier tick of this process; they are not woken for more."""
    is_waking: bool = True
    """Whether agents are woken at all: not while the remote can't be asked who does what."""
    access: "Access | None" = None
    """The forge to ask about pull requests."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a tick did: the commit of its own step, the heartbeats, what nobody can do, and notes."""

    commit: str | None = None
    dispatched: str = ""
    beats: tuple["Beat", ...] = ()
    stuck: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def is_idle(self) -> bool:
        return self.commit is None and not self.beats


def tick(store: Store, options: Options, on_beat: OnBeat = lambda _: None) -> Report:
    """One tick. A second one that starts meanwhile leaves at once: its report says so."""
    with try_lock(store.local / "tick.lock") as held:
        if not held:
            return Report(notes=(ANOTHER,))
        now = store.clock().astimezone(UTC)
        there, is_current, notes = _sync(store, options)
        options = replace(options, is_waking=is_current)
        notes += _reconcile(store, now, there if options.is_waking else None)
        wakes = schedule.load(store.local)
        result = transact(
            store,
            lambda draft: _orchestrate(draft, wakes, now, options),
            ORCHESTRATOR,
            quiet=options.settle,
        )
        board, work = result.value
        if work:
            schedule.save(store.local, _woken(wakes, board, work, now))
    dispatched = sentence(events(result.changes))
    if dispatched:
        on_beat(dispatched)
    beats = _wake(store, board, work, options, on_beat)
    judged = _judged(store, board, options)
    notes += judged
    if there is not None and options.is_waking and (beats or result.commit or judged):
        last = sync.sync(store, there, ORCHESTRATOR, options.settle)
        notes += [note for note in last.notes if note not in notes]
    if result.commit or beats:
        notes += _tidy(store)
    return Report(
        commit=result.commit,
        dispatched=dispatched,
        beats=tuple(beats),
        stuck=tuple(stuck(board)),
        notes=(*notes, *result.notes),
    )


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


def _orchestrate(
    draft: Draft, wakes: schedule.Wakes, now: datetime, options: Options
) -> tuple[Board, list[Assignment]]:
    waking = _waking(draft.board, wakes, now, options)
    for task in rules.orchestrate(draft.board, now, waking):
        draft.put(task)
    return draft.board, _plan(draft.board, waking, now, _taken(draft.refs, wakes, now))


def _waking(board: Board, wakes: schedule.Wakes, now: datetime, options: Options) -> list[str]:
    if board.config.paused or not options.is_waking:
        return []
    if options.agent:
        agent = board.agent(options.agent)
        why = rules.cannot_run(agent)
        if why:
            raise Refused(f"{agent.name} can't be woken: {why}.")
        return [agent.name]
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


def _woken(wakes: schedule.Wakes, board: Board, work: Sequence[Assignment], now: datetime) -> dict[str, Wake]:
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


def _wake(
    store: Store, board: Board, work: Sequence[Assignment], options: Options, on_beat: OnBeat
) -> list["Beat"]:
    """The heartbeats, side by side; in the order in which they end. An idle tick loads no runner."""
    if not work:
        return []
    from concurrent.futures import ThreadPoolExecutor, as_completed

    done = []
    with ThreadPoolExecutor(max_workers=max(1, min(options.jobs, len(work)))) as pool:
        futures = []
        for item in work:
            on_beat(item)
            futures.append(pool.submit(_beat, store, board, item, options))
        for future in as_completed(futures):
            done.append(future.result())
            on_beat(done[-1])
    _rest(store, done)
    return done


def _judged(store: Store, board: Board, options: Options) -> list[str]:
    """Merge what has passed, and hear what became of pull requests; where there is neither, load nothing."""
    is_wanted = board.config.merge == "checks" or any(task.pr for task in board.open_tasks)
    if board.config.paused or not is_wanted:
        return []
    from agentos.orchestrator import merging

    return merging.judged(store, options.access, ORCHESTRATOR)


def _tidy(store: Store) -> list[str]:
    """Pack now and then what the ticks committed, and remove the workspaces of tasks that are done.

    It must not fail a tick whose work is done.
    """
    from agentos.store import packing

    try:
        packing.tidy(store)
        if (store.local / "workspaces").is_dir():
            from agentos.runtime import workspace

            workspace.sweep(store, store.board())
    except (AgentOSError, OSError) as error:
        return [f"This clone was not tidied up: {error}"]
    return []


def _beat(store: Store, board: Board, work: Assignment, options: Options) -> "Beat":
    """One heartbeat: of a simulated agent here, of any other in a process of its own."""
    from agentos.runtime import apart, heartbeat

    agent = board.agents[work.agent]
    env = _environment(agent, options)
    if agent.agentos.runner == rules.SIMULATED or not options.apart:
        return heartbeat.beat(store, work, env)
    beat = apart.beat(store, work, env, options.apart, board.config.run_limit)
    if beat.outcome == "lost":
        from agentos.runtime import reaping

        left = [claim for claim in store.claims() if claim.task == work.task and claim.agent == work.agent]
        return reaping.reap(store, left[0]) if left else beat
    return beat


def _environment(agent: Agent, options: Options) -> dict[str, str]:
    """What a run is given: the variables that its agent's file lists, and the keys, unless it runs checks."""
    listed = {name: options.variables[name] for name in agent.agentos.env if name in options.variables}
    if agent.agentos.runner == "checks":
        return {name: value for name, value in listed.items() if name not in options.keys}
    return {**listed, **options.keys}


def _rest(store: Store, beats: Sequence["Beat"]) -> None:
    """Remember when what failed may be tried again."""
    again = [beat for beat in beats if beat.again]
    wakes = schedule.load(store.local) if again else {}
    for beat in again:
        wake = wakes.get(beat.agent)
        if wake is not None:
            rests = {**wake.rests, beat.task: times.parse(beat.again)}
            wakes[beat.agent] = replace(wake, rests=rests)
    if again:
        schedule.save(store.local, wakes)


def _sync(store: Store, options: Options) -> tuple[Remote | None, bool, list[str]]:
    """The first step: what others did is here, and what was done here is there.

    Gives the remote, whether it is known here what the others do, and notes where it is not.
    """
    try:
        there = remote.find(store)
        if there is None:
            return None, True, []
        done = sync.sync(store, there, ORCHESTRATOR, options.settle)
    except (Invalid, NotFound) as error:
        return None, False, [str(error), _NOBODY]
    return there, done.is_current, [*done.notes, *([] if done.is_current else [_NOBODY])]


_NOBODY = "No agent is woken before it is known who does what; `remote: none` in the config works without."


def _reconcile(store: Store, now: datetime, there: Remote | None) -> list[str]:
    """Close the runs that ended without having settled, other machines' too, and count what they cost."""
    notes: list[str] = []
    with contextlib.suppress(Away):
        notes += sync.release_expired(store, there, now) if there and store.refs().theirs else []
    if store.refs().claims:
        from agentos.runtime import liveness, reaping

        here = socket.gethostname()
        for claim in store.claims():
            if times.parse(claim.expires) <= now or liveness.is_dead(claim, here):
                beat = reaping.reap(store, claim)
                _rest(store, [beat])
                notes.append(beat.text)
    if Ledger(store.local).is_open():
        from agentos.runtime import reaping

        notes += reaping.settle_orphans(store)
    return notes


def stuck(board: Board) -> list[str]:
    """The needs of ready tasks that no agent who can run meets, each with its first task."""
    team = rules.workers(board)
    lacking: dict[str, str] = {}
    for task in board.open_tasks:
        if task.assignees or task.id in board.children or rules.obstacle(board, task):
            continue
        for need in rules.wanted(task) or [("work",)]:
            if not any(need == ("work",) or rules.meets(agent, need) for agent in team):
                lacking.setdefault("/".join(need), task.short)
    return [f"Nobody who can run does {need} ({task} wants it)." for need, task in sorted(lacking.items())]
