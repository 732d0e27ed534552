"""WORKING.md: the board on one page, a pure function of the records and the last activities."""

import heapq
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from agentos.model import ranking, rules, soundness, times
from agentos.model.activity import Activity
from agentos.model.board import Board, Problem
from agentos.model.records import Agent, Task
from agentos.model.words import Status, is_archived, task_number

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
    columns = by_status(board)
    for status in Status:
        lines.append(f"### {status.name}")
        tasks = list(column(board, columns[status], updated))
        lines += [*tasks, ""] if tasks or status is Status.DONE else []
    lines.append("## Recent Activity")
    lines += [activity_line(activity) for activity in activities[:MOST_ACTIVITIES]]
    if problems:
        lines += ["", "## Problems", *(f"- {flat(str(problem))}" for problem in problems[:MOST_LINES])]
        lines += [f"… and {len(problems) - MOST_LINES} more"] if len(problems) > MOST_LINES else []
    return "\n".join(lines) + "\n"


def by_status(board: Board) -> dict[Status, list[str]]:
    """The names of the tasks of each column; archived ones are on none."""
    columns: dict[str, list[str]] = {status: [] for status in Status}
    rows = board.tasks.rows
    for name, brief in board.briefs.items():
        if not is_archived(rows[name][0]):
            columns[brief.status].append(name)
    return {status: columns[status] for status in Status}


def column(board: Board, names: Sequence[str], now: datetime) -> Iterator[str]:
    """One column's lines, and how many more there are."""
    for task in in_order(board, names, now, MOST_LINES):
        yield task_line(task, board, task.id if task.number in board.shared_numbers else task.short)
    if len(names) > MOST_LINES:
        yield f"… and {len(names) - MOST_LINES} more"


def in_order(board: Board, names: Sequence[str], now: datetime, most: int) -> list[Task]:
    """The first tasks of a column: the most important; the newest where all is done."""
    if names and board.briefs[names[0]].status == Status.DONE:
        first = heapq.nsmallest(most, names, key=lambda name: (-(task_number(name) or 0), name))
    else:
        first = ranking.foremost(board, names, now, most)
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
        counts = Counter(brief.status for brief in board.briefs.values())
        is_running, how_many = counts[Status.IN_PROGRESS], counts.total() - counts[Status.DONE]
        return ("ACTIVE" if is_running else "IDLE"), f"Coordinating {how_many} open tasks"
    held = {name: board.briefs[name] for name in board.work.names.get(agent.name, ())}
    going = (name for name, brief in held.items() if brief.status == Status.IN_PROGRESS)
    running = next((board.tasks[name] for name in going if not held[name].is_blocked), None)
    if running:
        return "ACTIVE", f"{running.short} {running.title}"
    if held and all(brief.is_blocked for brief in held.values()):
        first = board.tasks[next(iter(held))]
        return "BLOCKED", f"{first.short}: {first.blocked}"
    why = rules.cannot_run(agent)
    return "IDLE", (why[:1].upper() + why[1:]) if why else agent.agentos.role or "Awaiting work"


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
