"""Explaining: why a task stands where it does: what moves it, how it ranks, and who could do it; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from agentos.model import ranking, rules
from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.model.times import stamp
from agentos.model.words import Status


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
        next_step(board, task, rests),
        order.index(task.id) + 1,
        len(order),
        ranking.parts(board, task, now),
        next((each.assignees for each in rules.assign(board, now) if each.id == task.id), ()),
        {name: _fits(board, task, board.agents[name]) for name in sorted(board.agents)},
    )


def next_step(board: Board, task: Task, rests: datetime | None = None) -> str:
    """What moves this open task next: a run, a reviewer, a dependency, a person.

    `rests` is the moment before which no run of it is tried, where one has failed.
    """
    when = f", at {stamp(rests)} or after" if rests else ""
    if board.config.paused:
        return "nobody: `paused: true` in board/config.yml stops every agent"
    if task.status is Status.REVIEW and not task.blocked and task.id not in board.held:
        if task.pr:
            return f"its pull request, {task.pr}"
        reviewers = [agent.name for agent in rules.workers(board) if rules.may_review(agent, task)]
        return f"a review by {reviewers[0]}{when}" if reviewers else "a person's review"
    stopped = rules.obstacle(board, task)
    if stopped:
        return stopped
    if task.assignees:
        return _next_of(board, task, when)
    if task.status is Status.IN_PROGRESS:
        return "a person: it is in progress and nobody's"
    team = rules.workers(board)
    missing = [need for need in rules.wanted(task) if not any(rules.meets(agent, need) for agent in team)]
    if missing or not team:
        lacks = " and ".join("/".join(need) for need in missing) or "any work"
        return f"an agent able to do {lacks}: add one, or assign a person"
    if rules.choose(board, task, team, rules.load(board)):
        return "the orchestrator, on the next tick"
    return f"waits for room: {_held(board, task, team)}"


def _held(board: Board, task: Task, team: Sequence[Agent]) -> str:
    """What keeps each agent from a task that only it and these could do."""
    needs = rules.wanted(task)
    able = [a for a in team if not needs or any(rules.meets(a, need) for need in needs)]
    said = []
    for agent in able[:3]:
        own = board.work.get(agent.name, ())
        begun = (each for each in own if each.status is Status.IN_PROGRESS)
        held = [each for each in own if each.status is Status.ASSIGNED]
        held += [each for each in begun if not rules.is_waiting(board, each)]
        first = sorted(held, key=lambda each: not each.blocked)[:1]
        said += [f"{agent.name} holds {_held_up(each)}" for each in first]
    return "; ".join(said) + ("; …" if len(able) > 3 else "")


def _held_up(task: Task) -> str:
    """A task in somebody's hands, and what takes it out of them where it does not go on by itself."""
    if not task.blocked:
        return f"{task.id} ({task.status})"
    return f"{task.id}, which has to be unblocked or given to somebody else ({task.blocked})"


def _next_of(board: Board, task: Task, when: str) -> str:
    """Which of its assignees moves a ready task, and what keeps them from it."""
    names = task.assignees[:1] if task.status is Status.IN_PROGRESS else task.assignees
    able = [agent.name for agent in rules.workers(board)]
    runs = [name for name in names if name in able]
    if not runs:
        people = [name for name in names if name not in board.agents]
        if people:
            return f"{people[0]} (a person)"
        why = rules.cannot_run(board.agents[names[0]])
        return f"{names[0]}, who can't run: {why or 'the orchestrator does no tasks; assign somebody else'}"
    if task.status is not Status.IN_PROGRESS:
        others = (t for t in board.open_tasks if t.status is Status.IN_PROGRESS and t.assignees)
        ahead = next((other for other in others if rules.overlap(task, other)), None)
        if ahead:
            return f"waits for {ahead.id}, which changes the same paths"
    return f"the next heartbeat of {runs[0]}{when}"


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
    load, most = rules.load(board).get(agent.name, 0), agent.agentos.max_tasks
    past = board.successes.get(agent.name, {})
    done = sum(past.get(label, 0) for label in set(task.labels) - {rules.SIMULATED})
    facts = [f"it does {', '.join(met)}"] if met else []
    facts += [f"it has {load} of {most} tasks", *([f"it did {done} with these labels"] if done else [])]
    return ("yes: " if load < most else "later: ") + ", ".join(facts)
