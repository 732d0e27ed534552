"""WORKING.md: the board on one page, a pure function of the records and the last activities."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

from agentos.model import ranking, rules, soundness, times
from agentos.model.activity import Activity
from agentos.model.board import Board, Problem
from agentos.model.records import Agent, Task
from agentos.model.words import Status

PATH = "WORKING.md"
TITLE = "# Mission Control - Working State"
MOST_LINES = 50
MOST_ACTIVITIES = 20

_UPDATED = re.compile(r"^Last Updated: (\S+)\s*$", re.MULTILINE)


def render(
    board: Board, activities: Sequence[Activity], updated: datetime, problems: Sequence[Problem] = ()
) -> str:
    """The page. `updated` is the moment of the commit that holds it; `problems` have their lines filled in.

    The same arguments give the same bytes.
    """
    lines = [TITLE, f"Last Updated: {times.stamp(updated)}", "", "## Active Agents"]
    lines += [agent_line(board, board.agents[name]) for name in sorted(board.agents)]
    lines += ["", "## Current Tasks", ""]
    for status in Status:
        lines.append(f"### {status.name}")
        tasks = list(column(board, status, updated))
        lines += [*tasks, ""] if tasks or status is Status.DONE else []
    lines.append("## Recent Activity")
    lines += [activity_line(activity) for activity in activities[:MOST_ACTIVITIES]]
    if problems:
        lines += ["", "## Problems", *(f"- {flat(str(problem))}" for problem in problems[:MOST_LINES])]
        lines += [f"… and {len(problems) - MOST_LINES} more"] if len(problems) > MOST_LINES else []
    return "\n".join(lines) + "\n"


def by_status(board: Board) -> dict[Status, list[str]]:
    """The names of the tasks of each column, sorted; archived ones are on none."""
    columns = {status: board.ledger.asked(status).values() for status in Status}
    return {status: sorted(chain.from_iterable(groups)) for status, groups in columns.items()}


def column(board: Board, status: Status, now: datetime) -> Iterator[str]:
    """One column's lines, and how many more there are."""
    for task in in_order(board, status, now, MOST_LINES):
        yield task_line(task, board, task.id if task.number in board.shared_numbers else task.short)
    count = sum(map(len, board.ledger.asked(status).values()))
    if count > MOST_LINES:
        yield f"… and {count - MOST_LINES} more"


def in_order(board: Board, status: Status, now: datetime, most: int) -> list[Task]:
    """The first tasks of a column: the most important; the newest where all is done."""
    is_done = status is Status.DONE
    first = ranking.newest(board, most) if is_done else ranking.foremost(board, status, now, most)
    return [board.tasks[name] for name in first]


def task_line(task: Task, board: Board, name: str) -> str:
    """`- [TASK-003] @agent:technical:main - Implement user authentication`."""
    title = flat(task.title)
    if not task.is_open:
        mark = "✅" if task.is_completed else f"❌ {task.resolution}"
        simulated = " (simulated)" if rules.SIMULATED in task.labels else ""
        return f"- [{name}] {_apart(title)} {mark}{simulated}"
    who = " ".join("@" + _handle(board, assignee) for assignee in task.assignees)
    return f"- [{name}] {who} - {title}" if who else f"- [{name}] {_apart(title)}"


def _apart(title: str) -> str:
    """A title that would read as somebody's handle stands after a dash of its own."""
    return f"- {title}" if title.startswith(("@", "- ")) else title


def _handle(board: Board, name: str) -> str:
    return board.agents[name].session_key if name in board.agents else name


def agent_line(board: Board, agent: Agent) -> str:
    """`- agent:sales:main [IDLE] - Awaiting new leads`."""
    state, note = agent_state(board, agent)
    return f"- {agent.session_key} [{state}] - {flat(note)}"


def agent_state(board: Board, agent: Agent) -> tuple[str, str]:
    """ACTIVE while a task it works on is in progress, BLOCKED when all it holds is blocked, else IDLE."""
    if agent.agentos.runner == "rules":
        counts = {status: _how_many(board, status) for status in Status if status is not Status.DONE}
        state = "ACTIVE" if counts[Status.IN_PROGRESS] else "IDLE"
        return state, f"Coordinating {sum(counts.values())} open tasks"
    held = dict(sorted(board.ledger.asked("work").get(agent.name, {}).items()))
    going = (name for name, note in held.items() if note == (Status.IN_PROGRESS, False))
    running = next((board.tasks[name] for name in going), None)
    if running:
        return "ACTIVE", f"{running.short} {running.title}"
    if held and all(is_blocked for _, is_blocked in held.values()):
        first = board.tasks[next(iter(held))]
        return "BLOCKED", f"{first.short}: {first.blocked}"
    why = rules.cannot_run(agent)
    return "IDLE", (why[:1].upper() + why[1:]) if why else agent.agentos.role or "Awaiting work"


def _how_many(board: Board, status: Status) -> int:
    """How many tasks have a status, archived ones included."""
    asked = board.ledger.asked
    return sum(map(len, asked(status).values())) + len(asked("archived").get(status, ()))


def activity_line(activity: Activity) -> str:
    """`- 10:30 - agent:technical:main completed TASK-007`."""
    return f"- {activity.time.astimezone(UTC):%H:%M} - {flat(activity.actor)} {flat(activity.text)}"


def all_problems(board: Board) -> list[Problem]:
    """The problems of the files and of what they say of each other."""
    return sorted({*board.problems, *soundness.problems(board)})


def last_updated(text: str) -> datetime | None:
    """The moment a page names as its own, or None."""
    match = _UPDATED.search(text)
    try:
        return times.parse(match[1]) if match else None
    except ValueError:
        return None


def flat(text: str) -> str:
    """On one line, whatever the text was."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).split())
