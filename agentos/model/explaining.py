"""Explaining: why a task stands where it does: what moves it, how it ranks, and who could do it; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agentos.model import ranking, rules
from agentos.model.board import Board
from agentos.model.records import Agent, Task


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the rules make of one task.

    `place` is its rank among the `open` ones, `chosen` who would be given it now; `team` says of each agent
    why it could do the task, or why it can't.
    """

    next: str
    place: int = 0
    open: int = 0
    points: Mapping[str, float] | None = None
    chosen: tuple[str, ...] = ()
    team: Mapping[str, str] | None = None


def explain(board: Board, task: Task, now: datetime, rests: datetime | None = None) -> Explanation:
    """Everything the rules know about a task at this moment; of a done one, only that nothing moves it.

    `rests` is the moment before which no run of it is tried, where one has failed.
    """
    if not task.is_open:
        return Explanation(f"nothing: it is done ({task.resolution})")
    order = [each.id for each in ranking.ranked(board, board.open_tasks, now)]
    return Explanation(
        rules.next_step(board, task, rests),
        order.index(task.id) + 1,
        len(order),
        ranking.parts(board, task, now),
        next((each.assignees for each in rules.assign(board, now) if each.id == task.id), ()),
        {name: _fits(board, task, board.agents[name]) for name in sorted(board.agents)},
    )


def _fits(board: Board, task: Task, agent: Agent) -> str:
    """Whether an agent could do the task, and what speaks for or against it."""
    if agent.agentos.runner == "rules":
        return "no: the orchestrator does no tasks"
    if why := rules.cannot_run(agent):
        return f"no: {why}"
    needs = rules.wanted(task)
    met = ["/".join(need) for need in needs if rules.meets(agent, need)]
    if needs and not met:
        return f"no: it has none of {', '.join('/'.join(need) for need in needs)}"
    load, most = board.load.get(agent.name, 0), agent.agentos.max_tasks
    past = board.successes.get(agent.name, {})
    done = sum(past.get(label, 0) for label in set(task.labels) - {rules.SIMULATED})
    facts = [f"it does {', '.join(met)}"] if met else []
    facts += [f"it has {load} of {most} tasks", *([f"it did {done} with these labels"] if done else [])]
    return ("yes: " if load < most else "later: ") + ", ".join(facts)
