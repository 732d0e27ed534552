"""The rules of the board: pure functions from a board and a moment to what should happen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from agentos.errors import Refused
from agentos.model.board import Board
from agentos.model.consequences import WAITS
from agentos.model.ranking import ranked
from agentos.model.records import Agent, Message, Task
from agentos.model.words import Status, capability

RUNNERS = ("rules", "checks", "command", "llm", "replay", "simulated")
"""The runners this version has; `rules` is the orchestrator's own and does no tasks."""

MOVES: Mapping[Status, tuple[Status, ...]] = {
    Status.INBOX: (Status.ASSIGNED,),
    Status.ASSIGNED: (Status.IN_PROGRESS, Status.INBOX),
    Status.IN_PROGRESS: (Status.REVIEW, Status.INBOX),
    Status.REVIEW: (Status.DONE, Status.IN_PROGRESS, Status.INBOX),
    Status.DONE: (Status.INBOX,),
}
"""The steps an agent may take; a person may move anything anywhere."""

REVIEW = "review"
"""The capability that lets an agent review the work of others."""

SIMULATED = "simulated"
"""The runner that does no work, and the label on every task it passed."""

ANSWERING = ("command", "llm")
"""The runners that can answer a question."""

THINKERS = ("rules", SIMULATED)
"""The runners that never run a command."""


def move(task: Task, to: Status) -> Task:
    """The same task, one step along; only the steps in MOVES exist. Raises Refused."""
    if to not in MOVES[task.status]:
        raise Refused(f"{task.id} is {task.status}; it can go to {', '.join(MOVES[task.status])}.")
    return task.replace(status=to)


# Readiness ----------------------------------------------------------------------------------------------


def obstacle(board: Board, task: Task) -> str | None:
    """Why an open task can't be started now, or None where it is ready."""
    if task.blocked:
        return f"blocked: {task.blocked}"
    if task.id in board.held:
        return "its file can't be read"
    if task.id in board.children:
        is_waiting = any(child.is_open for child in board.children[task.id])
        return "waits for its children" if is_waiting else "a person: all its parts are done"
    for name in task.depends_on:
        if name in board.held:
            return f"waits for {name}, whose file can't be read"
        other = board.tasks.get(name)
        if other is None:
            return f"depends on {name}, which does not exist"
        if other.is_open:
            return f"waits for {name}"
        if not other.is_completed:
            return f"depends on {name}, which was {other.resolution}"
    return None


def is_ready(board: Board, task: Task) -> bool:
    """Open, and everything it depends on is completed."""
    return task.is_open and obstacle(board, task) is None


# Needs and agents ---------------------------------------------------------------------------------------


def wanted(task: Task) -> list[tuple[str, ...]]:
    """What the task needs, each with its alternatives: `a + b` and two items want both, `a/b` either."""
    parts = [part for need in task.needs for part in need.split(" + ")]
    options = [tuple(word for each in part.split("/") if (word := capability(each))) for part in parts]
    return [option for option in options if option]


def meets(agent: Agent, need: Sequence[str]) -> bool:
    return any(capability(able) in need for able in agent.agentos.capabilities)


def cannot_run(agent: Agent) -> str | None:
    """Why an agent can't be woken at all, with what to do; None where it can."""
    runner = agent.agentos.runner
    if agent.agentos.proposed_by:
        return f"proposed by {agent.agentos.proposed_by} (agentos agent approve {agent.name})"
    if agent.agentos.paused:
        return f"paused (agentos agent resume {agent.name})"
    if runner is None:
        return f"no runner; set `runner:` under `agentos:` in agents/{agent.name}.md"
    if runner not in RUNNERS:
        return f"unknown runner {runner!r} in agents/{agent.name}.md; there are {', '.join(RUNNERS)}"
    return None


def runs_commands(agent: Agent) -> bool:
    """Whether waking this agent runs commands, for which there must be a sandbox."""
    return agent.agentos.runner is not None and agent.agentos.runner not in THINKERS


def workers(board: Board) -> list[Agent]:
    """The agents that can take tasks, by name."""
    agents = (board.agents[name] for name in sorted(board.agents) if name not in board.unread)
    return [agent for agent in agents if agent.agentos.runner != "rules" and not cannot_run(agent)]


def unmet(board: Board) -> list[tuple[str, Task]]:
    """The needs of ready tasks that no agent who can run meets, each with its first task."""
    team = workers(board)
    lacking: dict[str, Task] = {}
    for task in board.open_tasks:
        if task.assignees or task.id in board.children or obstacle(board, task):
            continue
        for need in wanted(task) or [("work",)]:
            if not any(need == ("work",) or meets(agent, need) for agent in team):
                lacking.setdefault("/".join(need), task)
    return sorted(lacking.items())


def may_review(agent: Agent, task: Task) -> bool:
    """A reviewer has the capability and is not one of the task's authors."""
    return meets(agent, (REVIEW,)) and agent.name not in task.assignees


def questions(board: Board, agent: Agent) -> list[Message]:
    """What this agent is asked and can answer now, oldest first: on tasks that nothing else blocks."""
    if agent.agentos.runner not in ANSWERING:
        return []
    waits = ("", f"{WAITS} {agent.name}")
    return [
        each for each in board.asked.get(agent.name, ()) if (board.tasks[each.task].blocked or "") in waits
    ]


# Orchestration ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an agent is woken for: a task, to work on it, to review it, or to answer a question about it."""

    agent: str
    task: str
    is_review: bool = False
    is_answer: bool = False

    @property
    def has_work(self) -> bool:
        """Whether something is to be made, which is then handed in."""
        return not self.is_review and not self.is_answer

    @property
    def verb(self) -> str:
        """As in `qa reviews TASK-001`."""
        return "reviews" if self.is_review else "answers on" if self.is_answer else "works on"


def orchestrate(board: Board, now: datetime, waking: Iterable[str] = ()) -> list[Task]:
    """The tasks to change: ready work given out, and the work of the agents about to wake started."""
    if board.config.paused:
        return []
    started = dispatch(board, now, waking)
    busy = {task.id for task in started}
    return started + [task for task in assign(board, now) if task.id not in busy]


def assign(board: Board, now: datetime) -> list[Task]:
    """Ready tasks without an assignee, given to whoever meets their needs and has room."""
    team, held = workers(board), load(board)
    free = [
        task
        for task in board.open_tasks
        if task.status in (Status.INBOX, Status.ASSIGNED) and not task.assignees and is_ready(board, task)
    ]
    given = []
    for task in ranked(board, free, now):
        chosen = choose(board, task, team, held)
        if chosen:
            held[chosen[0]] = held.get(chosen[0], 0) + 1
            given.append(task.replace(status=Status.ASSIGNED, assignees=tuple(chosen)))
    return given


def load(board: Board) -> dict[str, int]:
    """How many tasks each agent holds that take it up."""
    held = dict(board.load)
    for task in _begun(board):
        held[task.assignees[0]] -= is_waiting(board, task)
    return held


def choose(board: Board, task: Task, team: Sequence[Agent], held: Mapping[str, int]) -> list[str]:
    """One agent for each need, different ones where possible, the first with room to work; or nobody."""
    chosen: list[str] = []
    for need in wanted(task) or [()]:
        able = [agent for agent in team if not need or meets(agent, need)]
        able.sort(key=lambda agent: _fitness(board, task, agent, held, chosen))
        if not able:
            return []
        if able[0].name not in chosen:
            chosen.append(able[0].name)
    room = [a.name for a in team if a.name in chosen and held.get(a.name, 0) < a.agentos.max_tasks]
    chosen.sort(key=lambda name: name not in room)
    return chosen if room else []


def _fitness(
    board: Board, task: Task, agent: Agent, held: Mapping[str, int], chosen: Sequence[str]
) -> tuple[bool, float, int, str]:
    """What makes an agent come first: not chosen yet, load, past success on such labels, name."""
    labels = set(task.labels) - {SIMULATED}
    past = board.successes.get(agent.name, {})
    success = sum(past.get(label, 0) for label in labels)
    return agent.name in chosen, held.get(agent.name, 0) / agent.agentos.max_tasks, -success, agent.name


def _begun(board: Board) -> list[Task]:
    return [task for task in board.open_tasks if task.status is Status.IN_PROGRESS and task.assignees]


def is_waiting(board: Board, task: Task) -> bool:
    """Whether a task only waits for other tasks; it then takes up nobody, who may be the one to do those."""
    return not task.blocked and obstacle(board, task) is not None


def dispatch(board: Board, now: datetime, waking: Iterable[str]) -> list[Task]:
    """The tasks that start now: assigned to an agent about to wake, ready, and in nobody's way."""
    running = [task for task in _begun(board) if not is_waiting(board, task)]
    holds: dict[str, int] = {}
    for task in running:
        holds[task.assignees[0]] = holds.get(task.assignees[0], 0) + 1
    able = {agent.name: agent for agent in workers(board)}
    given = [t for t in board.open_tasks if t.status in (Status.INBOX, Status.ASSIGNED) and t.assignees]
    ready = [task for task in given if is_ready(board, task)]
    awake = set(waking) & able.keys()
    started = []
    for task in ranked(board, ready, now):
        free = [n for n in task.assignees if n in awake and holds.get(n, 0) < able[n].agentos.max_tasks]
        if not free or any(overlap(task, other) for other in running):
            continue
        worker = free[0]
        order = (worker, *(name for name in task.assignees if name != worker))
        task = task.replace(status=Status.IN_PROGRESS, assignees=order)
        holds[worker] = holds.get(worker, 0) + 1
        running.append(task)
        started.append(task)
    return started


def overlap(task: Task, other: Task) -> bool:
    """Whether two tasks would change the same paths: one path is the other or holds it."""
    pairs = ((a.rstrip("/*"), b.rstrip("/*")) for a in task.touches for b in other.touches)
    return any(a == b or a.startswith(b + "/") or b.startswith(a + "/") for a, b in pairs)


def work_for(
    board: Board, agent: Agent, now: datetime, taken: Iterable[str] = (), looked: Iterable[str] = ()
) -> Assignment | None:
    """What this agent would do if it woke now: a review, then an answer that somebody waits for, then its own
    task, and at last another look at what it has reviewed as it stands.

    `taken` are the tasks that somebody holds a claim on, `looked` those it was woken to review already.
    """
    if cannot_run(agent) or agent.agentos.runner == "rules" or board.config.paused:
        return None
    taken = set(taken)
    free = [task for task in board.open_tasks if task.id not in taken and not task.blocked]
    reviews = [task for task in free if task.status is Status.REVIEW and may_review(agent, task)]
    again = set(looked)
    fresh = [task for task in reviews if task.id not in again]
    own = [t for t in free if t.status is Status.IN_PROGRESS and t.assignees[:1] == (agent.name,)]
    own = [task for task in own if obstacle(board, task) is None]
    elsewhere = {each.task for each in questions(board, agent)} - taken - {task.id for task in own}
    asked = [board.tasks[name] for name in elsewhere]
    for found, is_review, is_answer in (
        (fresh, True, False),
        (asked, False, True),
        (own, False, False),
        (reviews, True, False),
    ):
        if found:
            return Assignment(agent.name, ranked(board, found, now)[0].id, is_review, is_answer)
    return None
