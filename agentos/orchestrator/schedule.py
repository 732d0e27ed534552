"""Schedules: which agents are due, from their heartbeat, the clock, and what was addressed to them."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from agentos.model import rules, times
from agentos.model.board import Board
from agentos.model.records import Agent
from agentos.model.words import Status


@dataclass(frozen=True, slots=True)
class Wake:
    """When an agent was last woken, and what it was woken for, as `task:status`.

    `rests` has the tasks that failed, each with the moment of its next try. All of it is local to a clone;
    losing it costs one extra wake.
    """

    at: datetime
    seen: frozenset[str] = field(default_factory=frozenset)
    rests: Mapping[str, datetime] = field(default_factory=dict)

    def resting(self, now: datetime) -> set[str]:
        """The tasks that are not to be tried yet."""
        return {task for task, until in self.rests.items() if until > now}


Wakes = Mapping[str, Wake]


def waking(board: Board, wakes: Wakes, now: datetime, force: bool = False) -> list[str]:
    """The agents that are due, or have something addressed to them that they have not seen."""
    return [
        agent.name
        for agent in rules.workers(board)
        if force or is_due(agent, wakes.get(agent.name), now) or _is_called(board, agent, wakes)
    ]


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


def _is_called(board: Board, agent: Agent, wakes: Wakes) -> bool:
    last = wakes.get(agent.name)
    seen = last.seen if last else frozenset()
    return any(name not in seen for name in addressed(board, agent))


def addressed(board: Board, agent: Agent) -> Iterator[str]:
    """What wakes an agent early: tasks assigned to it, and work that it may review, as `task:status`."""
    for task in board.open_tasks:
        if task.blocked:
            continue
        if task.status is Status.REVIEW:
            if rules.may_review(agent, task):
                yield f"{task.id}:review"
        elif agent.name in task.assignees and rules.is_ready(board, task):
            yield f"{task.id}:{task.status}"


def load(folder: Path) -> dict[str, Wake]:
    """The wakes as this clone remembers them; none where it does not."""
    try:
        data = json.loads((folder / "wakes.json").read_bytes())
        return {
            str(name): Wake(
                times.parse(wake["at"]),
                frozenset(map(str, wake["seen"])),
                {str(task): times.parse(until) for task, until in wake.get("rests", {}).items()},
            )
            for name, wake in data.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def save(folder: Path, wakes: Wakes) -> None:
    """Remember the wakes; a folder that can't be written costs extra wakes and nothing else."""
    data = {
        name: {
            "at": times.stamp(wake.at.astimezone(UTC)),
            "seen": sorted(wake.seen),
            "rests": {task: times.stamp(until) for task, until in wake.rests.items()},
        }
        for name, wake in wakes.items()
    }
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"wakes.{os.getpid()}"
        partial.write_text(json.dumps(data))
        partial.replace(folder / "wakes.json")
