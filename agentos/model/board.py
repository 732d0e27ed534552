"""The board: every record at one moment, an immutable value that answers questions."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as value
from functools import cached_property

from agentos.errors import Invalid
from agentos.model import ids
from agentos.model.briefs import Brief
from agentos.model.ledger import Ledger, Seen
from agentos.model.records import Agent, Config, Document, Message, Record, Task
from agentos.model.tables import Groups, Row, Table
from agentos.model.words import Status, task_number

MOST_TOUCHED = 100
"""Rows that may have been set before a ledger is made anew instead of brought forward."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong with the board, where, and whether the file can't be read because of it.

    `field` names the field it is about (`agentos.runner`: one in another), for who has the text to find the
    line.
    """

    path: str
    line: int
    reason: str
    is_fatal: bool = True
    field: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True)
class Board:
    """All records of one commit, with hand edits over it where the reader asked for them.

    Tasks, agents and documents go by their name or path, messages by their path. `problems` are the files
    that can't be read or are odd; `held` the tasks among them, left out of automation.
    """

    commit: str | None = None
    tasks: Table[Task] = value(default_factory=lambda: Table({}, Task))
    agents: Table[Agent] = value(default_factory=lambda: Table({}, Agent))
    messages: Table[Message] = value(default_factory=lambda: Table({}, Message))
    documents: Table[Document] = value(default_factory=lambda: Table({}, Document))
    config: Config = value(default_factory=Config)
    problems: tuple[Problem, ...] = ()
    held: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    """The agents whose file has an edit that can't be read: here as they were committed, and not woken."""
    kept: Callable[[], Mapping[str, Brief]] = value(default=dict, repr=False, compare=False)
    """Gives the briefs that are known already, by blob."""
    summed: Callable[[], Ledger | None] = value(default=lambda: None, repr=False, compare=False)
    """Gives the ledger of the tasks as they were before any row was set, where it is known."""

    def task(self, ref: str) -> Task:
        """The task that `ref` means. Raises NotFound, Usage, or Invalid where its file can't be read."""
        name = ids.resolve(ref, self.tasks.rows.keys() | self.held)
        if name not in self.tasks:
            raise Invalid(self.why_held(name))
        return self.tasks[name]

    def why_held(self, name: str) -> str:
        """The problem that keeps a task out, as one line with its path."""
        found = next((p for p in self.problems if p.is_fatal and p.path.endswith(f"/{name}.md")), None)
        return f"{found}. Mend the file, then try again." if found else f"{name} can't be read."

    def agent(self, ref: str) -> Agent:
        """The agent that `ref` means. Raises NotFound or Usage."""
        return self.agents[ids.resolve(ref, self.agents.rows.keys(), "agent")]

    def record(self, ref: str) -> Record:
        """The task, agent or document that `ref` means. Raises NotFound, Usage or Invalid."""
        if ref in self.agents:
            return self.agents[ref]
        if "/" in ref:
            return self.documents[ids.resolve(ref, self.documents, "doc")]
        if self._is_part(ref, self.tasks.rows.keys() | self.held) or not self._is_part(ref, self.agents):
            return self.task(ref)
        return self.agent(ref)

    @staticmethod
    def _is_part(ref: str, names: Iterable[str]) -> bool:
        """Whether `ref` means at least one of these names."""
        return ref.isdigit() or any(ref.strip().lower() in name.lower() for name in names)

    @cached_property
    def open_tasks(self) -> tuple[Task, ...]:
        """Every task that is not done, by name."""
        found = [task for task in self.tasks.values() if task.status is not Status.DONE]
        return tuple(sorted(found, key=lambda task: task.id))

    @cached_property
    def briefs(self) -> Mapping[str, Brief]:
        """Every task in brief; a record is made only for one whose brief is not known."""
        kept = self.kept()
        return {name: kept.get(row[1]) or Brief.of(self.tasks[name]) for name, row in self.tasks.rows.items()}

    @cached_property
    def earlier_ledger(self) -> Ledger | None:
        """The ledger that this one's is brought forward from; None where it is made of all tasks in brief."""
        return self.summed() if len(self.tasks.touched) <= MOST_TOUCHED else None

    @cached_property
    def ledger(self) -> Ledger:
        """All tasks under what is asked of all of them."""
        base, table = self.earlier_ledger, self.tasks
        if base is None:
            return Ledger.of((name, table.path(name), brief) for name, brief in self.briefs.items())
        if not table.touched:
            return base
        rows = ((name, *table.rows_of(name)) for name in table.touched)
        return base.after(((name, _seen(was), _seen(now)) for name, was, now in rows), table.rows)

    @cached_property
    def children(self) -> Groups[Task]:
        """Each parent's tasks."""
        return Groups(self.tasks, self.ledger.asked("children"))

    @cached_property
    def dependents(self) -> Groups[Task]:
        """The open tasks that wait for each task."""
        return Groups(self.tasks, self.ledger.asked("dependents"))

    @cached_property
    def work(self) -> Groups[Task]:
        """The open tasks that each agent or person is the first assignee of."""
        return Groups(self.tasks, self.ledger.asked("work"))

    @cached_property
    def load(self) -> Mapping[str, int]:
        """How many tasks each agent holds: assigned or in progress, as their first assignee."""
        going = (Status.ASSIGNED, Status.IN_PROGRESS)
        work = self.ledger.asked("work").items()
        return {who: sum(status in going for status, _ in names.values()) for who, names in work}

    @cached_property
    def shared_numbers(self) -> frozenset[int | None]:
        """The numbers that more than one task has, so that the short form is not enough."""
        return frozenset(task_number(f"{head}-x") for head in self.ledger.twins)

    @cached_property
    def successes(self) -> Mapping[str, Mapping[str, int]]:
        """How many tasks with each label each agent has completed as the first assignee."""
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for task in self.tasks.values():
            if task.labels and task.is_completed and task.assignees:
                for label in task.labels:
                    found[task.assignees[0]][label] += 1
        return found

    @cached_property
    def said(self) -> Groups[Message]:
        """What was said about each task, oldest first."""
        found: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self.messages):
            found[path.split("/")[2]].append(path)
        return Groups(self.messages, dict(found))

    def messages_of(self, task: str) -> list[Message]:
        """What was said about a task, oldest first."""
        return list(self.said.get(task, ()))

    @cached_property
    def asked(self) -> Mapping[str, tuple[Message, ...]]:
        """The questions on open tasks by who is asked and has not answered yet, oldest first.

        Asked is whom a question mentions, or else the task's first assignee. Their next word on the task
        that is not a report answers it.
        """
        found: dict[str, list[Message]] = defaultdict(list)
        for name in sorted(self._asking):
            task = self.tasks.get(name)
            if task is None or not task.is_open:
                continue
            for message in sorted(self.said[name], key=_in_order):
                if message.type != "status_update":
                    found[message.author] = [each for each in found[message.author] if each.task != name]
                if message.type == "question":
                    for who in message.mentions or task.assignees[:1]:
                        found[who] += [message] if who != message.author else []
        return {who: tuple(messages) for who, messages in found.items() if messages}

    @property
    def _asking(self) -> set[str]:
        """The tasks on which there was a question; messages that can be none are not made."""
        rows = self.messages.rows.items()
        return {path.split("/")[2] for path, row in rows if b'"question"' in row[2]}

    def is_name_taken(self, name: str) -> bool:
        return name in self.agents or name in self.config.people


def _seen(row: Row | None) -> Seen:
    """A task as its row has it, in brief."""
    return (row[0], Brief.of(Task.from_row(row[0], row[2]))) if row else None


def _in_order(message: Message) -> tuple[str, bool, str]:
    """Oldest first; of one second, what was asked before what was answered."""
    return message.created or "", message.type != "question", message.path


def duplicates(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of paths that differ only in case, which some file systems can't tell apart."""
    seen: dict[str, str] = {}
    for path in sorted(paths):
        other = seen.setdefault(path.lower(), path)
        if other != path:
            yield path, other
