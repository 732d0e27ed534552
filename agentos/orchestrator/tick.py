"""A tick: one pass of the scheduler. Reconcile, orchestrate, dispatch, wake; then it is over."""

import contextlib
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Union

from agentos.errors import AgentOSError, Invalid, NotFound
from agentos.model import rules, times
from agentos.model.activity import events, sentence, short
from agentos.model.board import Board
from agentos.model.records import Agent
from agentos.model.rules import Assignment
from agentos.orchestrator import dispatch, schedule
from agentos.orchestrator.dispatch import ORCHESTRATOR
from agentos.orchestrator.dispatch import Options as Options
from agentos.orchestrator.dispatch import preview as preview
from agentos.runtime.ledger import Ledger
from agentos.store import remote, sync
from agentos.store.lock import tick_lock
from agentos.store.remote import Away, Remote
from agentos.store.repository import Store

if TYPE_CHECKING:
    from agentos.runtime.beats import Beat

ANOTHER = "Another tick is at work here."

OnBeat = Callable[[Union[Assignment, "Beat", str]], None]
"""Told of what was given out, in words, and of each heartbeat when it starts and when it is over."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a tick did: the commit of its own step, the heartbeats, what nobody can do, and notes."""

    commit: str | None = None
    dispatched: str = ""
    beats: tuple["Beat", ...] = ()
    stuck: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)
    refused: str = ""
    """Who was not woken since nothing here confines what they would run, and what a person can do."""

    @property
    def is_idle(self) -> bool:
        return self.commit is None and not self.beats

    @property
    def has_failed(self) -> bool:
        """Whether a run came to nothing, though it was settled and is tried again by rule."""
        return any(beat.outcome in ("failed", "lost") for beat in self.beats)


def tick(store: Store, options: Options, on_beat: OnBeat = lambda _: None) -> Report:
    """One tick. A second one that starts meanwhile leaves at once: its report says so."""
    with tick_lock(store.local / "tick.lock") as held:
        if not held:
            return Report(notes=(ANOTHER,))
        now = store.clock().astimezone(UTC)
        there, is_current, notes = _sync(store, options)
        options = replace(options, is_waking=is_current)
        notes += _reconcile(store, now, there if options.is_waking else None)
        wakes = schedule.load(store.local)
        given = dispatch.give_out(store, wakes, now, options)
        result, notes = given.result, [*notes, *given.notes]
        board, work = result.value
        notes += [dispatch.PAUSED] if board.config.paused else []
        after = dispatch.held_up(dispatch.woken(wakes, board, work, now), given.kept, now)
        schedule.change(store.local, wakes, after)
    dispatched = sentence(events(result.changes))
    if dispatched:
        on_beat(dispatched)
    beats = _wake(store, board, work, options, on_beat)
    if beats:
        before, board = board, store.board()
        _rest(store, before, board, beats)
    judged = _judged(store, board, options)
    notes += judged
    if there is not None and options.is_waking and (beats or result.commit or judged):
        last = sync.sync(store, there, ORCHESTRATOR)
        notes += [note for note in last.notes if note not in notes]
    if result.commit or beats:
        notes += _tidy(store, board)
    else:
        notes += _waiting(board, wakes, now)
    return Report(
        commit=result.commit,
        dispatched=dispatched,
        beats=tuple(beats),
        stuck=tuple(stuck(board)),
        notes=(*notes, *result.notes),
        refused=given.refused,
    )


def _wake(
    store: Store, board: Board, work: Sequence[Assignment], options: Options, on_beat: OnBeat
) -> list["Beat"]:
    """The heartbeats, side by side; in the order in which they end. An idle tick loads no runner.

    An interrupt starts no more of them, and waits for none: each has a process of its own and settles.
    """
    if not work:
        return []
    from concurrent.futures import ThreadPoolExecutor, as_completed

    is_forking = any(board.agents[item.agent].agentos.runner != rules.SIMULATED for item in work)
    if options.nursery is not None and is_forking:
        options.nursery.open()
    done = []
    pool = ThreadPoolExecutor(max_workers=max(1, min(options.jobs, len(work))))
    try:
        futures = []
        for item in work:
            on_beat(item)
            futures.append(pool.submit(_beat, store, board, item, options))
        for future in as_completed(futures):
            done.append(future.result())
            on_beat(done[-1])
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return done


def _judged(store: Store, board: Board, options: Options) -> list[str]:
    """Merge what has passed, and hear what became of pull requests; where there is neither, load nothing."""
    is_wanted = board.config.merge == "checks" or any(task.pr for task in board.open_tasks)
    if board.config.paused or not is_wanted:
        return []
    from agentos.orchestrator import merging

    return merging.judged(store, options.access, ORCHESTRATOR)


def _tidy(store: Store, board: Board) -> list[str]:
    """Pack now and then what the ticks committed, and remove the workspaces of tasks that are done.

    It must not fail a tick whose work is done.
    """
    from agentos.store import packing

    try:
        packing.tidy(store)
        if (store.local / "workspaces").is_dir():
            from agentos.runtime import workspace

            workspace.sweep(store, board)
    except (AgentOSError, OSError) as error:
        return [f"This clone was not tidied up: {error}"]
    return []


def _waiting(board: Board, wakes: schedule.Wakes, now: datetime) -> list[str]:
    """What an idle tick waits for: the next try of a task whose last run failed; how many more there are."""
    found = sorted(
        (until, name, task.short)
        for name, wake in wakes.items()
        for task, until in ((board.tasks.get(each), until) for each, until in wake.rests.items())
        if until > now and name in board.agents and task is not None and task.is_open and not task.blocked
    )
    if not found:
        return []
    until, name, task = found[0]
    more = f"; {len(found) - 1} more tries wait" if len(found) > 1 else ""
    return [f"{name} tries {task} again at {times.stamp(until)} or after{more}."]


def _beat(store: Store, board: Board, work: Assignment, options: Options) -> "Beat":
    """One heartbeat: of a simulated agent here, of any other in a process of its own."""
    agent = board.agents[work.agent]
    env = _environment(agent, options)
    if agent.agentos.runner == rules.SIMULATED or options.nursery is None:
        from agentos.runtime import heartbeat

        return heartbeat.beat(store, work, env)
    from agentos.runtime import apart

    beat = apart.beat(store, work, env, options.nursery, board.config.run_limit)
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


def _rest(store: Store, before: Board, board: Board, beats: Sequence["Beat"]) -> None:
    """Remember when what failed may be tried again, and what the heartbeats have done with their calls."""
    wakes = schedule.load(store.local)
    after = schedule.pruned(wakes, board)
    for beat in beats:
        wake, agent = after.get(beat.agent), board.agents.get(beat.agent)
        if wake is not None and agent is not None:
            rests = {**wake.rests, **({beat.task: times.parse(beat.again)} if beat.again else {})}
            after[beat.agent] = replace(schedule.seen_to(wake, before, board, agent), rests=rests)
    schedule.change(store.local, wakes, after)


def _sync(store: Store, options: Options) -> tuple[Remote | None, bool, list[str]]:
    """The first step: what others did is here, and what was done here is there.

    Gives the remote, whether it is known here what the others do, and notes where it is not.
    """
    try:
        there = remote.find(store)
        if there is None:
            return None, True, []
        done = sync.sync(store, there, ORCHESTRATOR)
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
                board = store.board()
                _rest(store, board, board, [beat])
                notes.append(f"{beat.agent} on {short(beat.task)}: {beat.text}")
    if Ledger(store.local).is_open():
        from agentos.runtime import reaping

        notes += reaping.settle_orphans(store)
    return notes


def stuck(board: Board) -> list[str]:
    """What nobody can do, each with its first task."""
    return [f"Nobody who can run does {need} ({task.short} wants it)." for need, task in rules.unmet(board)]
