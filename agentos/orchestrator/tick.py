"""A tick: one pass of the scheduler. Reconcile, orchestrate, dispatch, wake; then it is over."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Union

from agentos.errors import AgentOSError, Refused
from agentos.model import rules
from agentos.model.activity import Actor, events, sentence
from agentos.model.board import Board
from agentos.model.rules import Assignment
from agentos.orchestrator import schedule
from agentos.orchestrator.schedule import Wake
from agentos.store import claims
from agentos.store.draft import Draft
from agentos.store.lock import try_lock
from agentos.store.repository import Store
from agentos.store.transaction import transact

if TYPE_CHECKING:
    from agentos.runtime.heartbeat import Beat

ORCHESTRATOR = Actor("orchestrator", is_agent=True)

OnBeat = Callable[[Union[Assignment, "Beat"]], None]
"""Told of each heartbeat when it starts and when it is over."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to tick: only one agent, how many heartbeats side by side, whatever the schedule says."""

    agent: str | None = None
    jobs: int = 4
    force: bool = False
    settle: float = 0.02
    """Seconds a hand edit must have been left alone to be committed."""


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
            return Report(notes=("Another tick is at work here.",))
        now = store.clock().astimezone(UTC)
        released = _reconcile(store, now)
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
    beats = _wake(store, work, options.jobs, on_beat)
    notes = _tidy(store) if result.commit or beats else []
    return Report(
        commit=result.commit,
        dispatched=sentence(events(result.changes)),
        beats=tuple(beats),
        stuck=tuple(stuck(board)),
        notes=(*released, *result.notes, *notes),
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
    return steps, _plan(board, waking, now, store.refs().claims)


def _orchestrate(
    draft: Draft, wakes: schedule.Wakes, now: datetime, options: Options
) -> tuple[Board, list[Assignment]]:
    waking = _waking(draft.board, wakes, now, options)
    for task in rules.orchestrate(draft.board, now, waking):
        draft.put(task)
    return draft.board, _plan(draft.board, waking, now, draft.refs.claims)


def _waking(board: Board, wakes: schedule.Wakes, now: datetime, options: Options) -> list[str]:
    if board.config.paused:
        return []
    if options.agent:
        agent = board.agent(options.agent)
        why = rules.cannot_run(agent)
        if why:
            raise Refused(f"{agent.name} can't be woken: {why}.")
        return [agent.name]
    return schedule.waking(board, wakes, now, options.force)


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
        after[item.agent] = Wake(now, frozenset(seen))
    return after


def _wake(store: Store, work: Sequence[Assignment], jobs: int, on_beat: OnBeat) -> list["Beat"]:
    """The heartbeats, side by side; in the order in which they end. An idle tick loads no runner."""
    if not work:
        return []
    from concurrent.futures import ThreadPoolExecutor, as_completed

    from agentos.runtime.heartbeat import beat

    done = []
    with ThreadPoolExecutor(max_workers=max(1, min(jobs, len(work)))) as pool:
        futures = []
        for item in work:
            on_beat(item)
            futures.append(pool.submit(beat, store, item))
        for future in as_completed(futures):
            done.append(future.result())
            on_beat(done[-1])
    return done


def _tidy(store: Store) -> list[str]:
    """Pack now and then what the ticks committed; it must not fail a tick whose work is done."""
    from agentos.store import packing

    try:
        packing.tidy(store)
    except (AgentOSError, OSError) as error:
        return [f"Old commits were not packed: {error}"]
    return []


def _reconcile(store: Store, now: datetime) -> list[str]:
    """Give back the claims whose time is up; gives a note for each."""
    notes = []
    for claim in claims.expired(store, now) if store.refs().claims else []:
        if claims.drop_any(store, claim.task):
            notes.append(
                f"The claim of {claim.agent or 'nobody'} on {claim.task} had expired and was released."
            )
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
