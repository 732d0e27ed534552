"""Schedules: which agents are due, from their heartbeat, the clock, and what was addressed to them."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from agentos.model import rules, times
from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.model.words import Status
from agentos.store.lock import board_lock


@dataclass(frozen=True, slots=True)
class Wake:
    """When an agent was last woken, and what it was woken for, as `task:status`.

    `rests` has the tasks that failed, each with the moment of its next try; `hops` says how many wakes led to
    this one since the clock or a person did. All of it is local to a clone; losing it costs one extra wake.
    """

    at: datetime
    seen: frozenset[str] = field(default_factory=frozenset)
    rests: Mapping[str, datetime] = field(default_factory=dict)
    hops: int = 0

    def resting(self, now: datetime) -> set[str]:
        """The tasks that are not to be tried yet."""
        return {task for task, until in self.rests.items() if until > now}

    @property
    def looked(self) -> set[str]:
        """The tasks it was woken to review and need not be again: nothing was handed in since."""
        names = {token.partition(":")[0] for token in self.seen if token.endswith(f":{Status.REVIEW}")}
        return names - self.rests.keys()


Wakes = Mapping[str, Wake]

MOST_HOPS = 4
"""How far a chain of wakes goes before its agents wait for their own heartbeats."""


def waking(board: Board, wakes: Wakes, now: datetime, force: bool = False) -> list[str]:
    """The agents that are due, or have something addressed to them that they have not seen."""
    return [
        agent.name for agent in rules.workers(board) if force or hops(board, agent, wakes, now) is not None
    ]


def hops(board: Board, agent: Agent, wakes: Wakes, now: datetime) -> int | None:
    """How many wakes lead from the clock or a person to one of this agent now; None where nothing calls it.

    0 is its own heartbeat. A call of an agent is one hop further than that agent's last wake; what is more
    than MOST_HOPS away calls nobody: two agents who ask each other go on at the pace of their heartbeats.
    """
    last = wakes.get(agent.name)
    if last is None or is_due(agent, last, now):
        return 0
    calls = (token for token in addressed(board, agent) if token not in last.seen)
    least = min((1 + _origin(board, agent, token, wakes) for token in calls), default=MOST_HOPS + 1)
    return least if least <= MOST_HOPS else None


def _origin(board: Board, agent: Agent, token: str, wakes: Wakes) -> int:
    """The hops of who made this call: who asked or handed in, else who spoke last on the task or made it."""
    name, _, what = token.partition(":")
    task = board.tasks[name]
    said = [message for message in board.messages_of(name) if message.author != agent.name]
    last = said[-1].author if said else task.created_by
    who = task.assignees[0] if what == Status.REVIEW and task.assignees else last
    who = next((message.author for message in said if message.id == what), who)
    wake = wakes.get(who or "")
    return wake.hops if wake else 0


def is_due(agent: Agent, last: Wake | None, now: datetime) -> bool:
    """Whether the agent's own heartbeat (an interval, or a cron expression in its time zone) has come."""
    if last is None or any(until <= now for until in last.rests.values()):
        return True
    length = times.interval(agent.agentos.heartbeat)
    if length is not None:
        return now - last.at >= length
    return times.next_after(agent.agentos.heartbeat, agent.agentos.timezone, last.at) <= now


def next_due(board: Board, wakes: Wakes, now: datetime) -> datetime | None:
    """The first moment after this at which the clock alone makes an agent due; None where it never does."""
    moments = []
    for agent in rules.workers(board):
        last = wakes.get(agent.name)
        if last is None:
            continue
        length = times.interval(agent.agentos.heartbeat)
        own = (
            times.next_after(agent.agentos.heartbeat, agent.agentos.timezone, last.at)
            if length is None
            else last.at + length
        )
        moments += [own, *last.rests.values()]
    return min((moment for moment in moments if moment > now), default=None)


def addressed(board: Board, agent: Agent) -> Iterator[str]:
    """What wakes an agent early: tasks assigned to it and work that it may review, as `task:status`, and
    what it is asked, as `task:message`. Being mentioned is not among it."""
    for task in board.open_tasks:
        if _is_addressed(board, agent, task):
            yield f"{task.id}:{task.status}"
    for question in rules.questions(board, agent):
        yield f"{question.task}:{question.id}"


def _is_addressed(board: Board, agent: Agent, task: Task) -> bool:
    if task.blocked or not task.is_open:
        return False
    if task.status is Status.REVIEW:
        return rules.may_review(agent, task)
    return agent.name in task.assignees and rules.is_ready(board, task)


def pruned(wakes: Wakes, board: Board) -> dict[str, Wake]:
    """The wakes without what is no longer addressed to their agents; what comes back then calls again.

    A task that rests after a failure is due as soon as a person has spoken on it.
    """
    after = {}
    for name, wake in wakes.items():
        rests = {task: _spoken(board, task, wake.at) or until for task, until in wake.rests.items()}
        seen = frozenset(_still(board, board.agents[name], wake.seen)) if name in board.agents else wake.seen
        after[name] = replace(wake, seen=seen, rests=rests)
    return after


def _spoken(board: Board, task: str, since: datetime) -> datetime | None:
    """When a person spoke on a task, where theirs is the last word on it and a later one than this."""
    last = next(iter(board.messages_of(task)[-1:]), None)
    if last is None or last.author in board.agents or not last.created:
        return None
    moment = times.parse(last.created)
    return moment if moment > since else None


def _still(board: Board, agent: Agent, seen: Iterable[str]) -> Iterator[str]:
    asked = {f"{question.task}:{question.id}" for question in rules.questions(board, agent)}
    for token in seen:
        name, _, what = token.partition(":")
        task = board.tasks.get(name)
        is_same = task is not None and what == task.status and _is_addressed(board, agent, task)
        if is_same or token in asked:
            yield token


def seen_to(wake: Wake, before: Board, board: Board, agent: Agent) -> Wake:
    """The wake after its heartbeat: what the agent made there and gave to itself does not call it."""
    new = set(addressed(board, agent)) - set(addressed(before, agent))
    own = (task for task in board.open_tasks if task.created_by == agent.name in task.assignees)
    given = frozenset(f"{task.id}:{task.status}" for task in own)
    return replace(wake, seen=wake.seen | (given & new))


def load(folder: Path) -> dict[str, Wake]:
    """The wakes as this clone remembers them; none where it does not."""
    try:
        data = json.loads((folder / "wakes.json").read_bytes())
        return {
            str(name): Wake(
                times.parse(wake["at"]),
                frozenset(map(str, wake["seen"])),
                {str(task): times.parse(until) for task, until in wake.get("rests", {}).items()},
                int(wake.get("hops", 0)),
            )
            for name, wake in data.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def change(folder: Path, before: Wakes, after: Wakes) -> None:
    """Remember what has changed of these wakes. Ticks overlap: another may know more of other agents."""
    if after == before:
        return
    with board_lock(folder / "wakes.lock"):
        now = load(folder)
        for name in before.keys() | after.keys():
            if after.get(name) != before.get(name):
                now.pop(name, None)
                now |= {name: after[name]} if name in after else {}
        save(folder, now)


def save(folder: Path, wakes: Wakes) -> None:
    """Remember the wakes; a folder that can't be written costs extra wakes and nothing else."""
    data = {
        name: {
            "at": times.stamp(wake.at.astimezone(UTC)),
            "seen": sorted(wake.seen),
            "rests": {task: times.stamp(until) for task, until in wake.rests.items()},
            "hops": wake.hops,
        }
        for name, wake in wakes.items()
    }
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "wakes.new"
        partial.write_text(json.dumps(data))
        partial.replace(folder / "wakes.json")
