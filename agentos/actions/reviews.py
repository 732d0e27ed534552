"""Review: the work that waits for a judgement, and what of it each person was shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentos.model import protected
from agentos.model.activity import Actor
from agentos.model.board import Board
from agentos.model.markdown import Box, criteria
from agentos.model.records import Document, Task
from agentos.model.words import Status
from agentos.store import branches, looks, patch, runs
from agentos.store.branches import Branch
from agentos.store.looks import Look
from agentos.store.patch import Count
from agentos.store.repository import Store
from agentos.store.runs import Run


@dataclass(frozen=True, slots=True)
class Review:
    """The work on one task, as its reviewer needs it; `branch` is None where there is no code.

    `protected` are the paths that only a person who says so may let in, `steering` those that no check may;
    `absent` is the commit that was handed in last where this clone does not have it, as on another machine;
    `documents` were written for it, `seen` is what the one who asks was last shown.
    """

    task: Task
    branch: Branch | None
    counts: tuple[Count, ...]
    criteria: tuple[Box, ...]
    runs: tuple[Run, ...]
    protected: tuple[str, ...]
    steering: tuple[str, ...]
    absent: str
    documents: tuple[Document, ...]
    seen: Look | None

    @property
    def added(self) -> int:
        return sum(count.added for count in self.counts)

    @property
    def removed(self) -> int:
        return sum(count.removed for count in self.counts)

    @property
    def usd(self) -> float:
        return sum(run.usd for run in self.runs)

    @property
    def tokens(self) -> int:
        return sum(run.tokens for run in self.runs)

    @property
    def author(self) -> str:
        """Who did it: who handed it in, else who has the task."""
        return self.run.agent if self.run else ", ".join(self.task.assignees[:1])

    @property
    def run(self) -> Run | None:
        """The run that handed it in."""
        return _handed_in(self.runs)

    @property
    def verdicts(self) -> tuple[Run, ...]:
        """What agents said of this very commit since it was handed in, newest first."""
        return tuple(runs.verdicts(self.runs, self.branch.commit)) if self.branch else ()

    @property
    def is_unconfined(self) -> bool:
        """Whether any run on it had no sandbox."""
        return any(run.is_unconfined for run in self.runs)

    @property
    def look(self) -> str:
        """What the one who asks knows of it: `seen`, `changed` since, or nothing."""
        if self.seen is None or self.branch is None:
            return ""
        return "seen" if self.seen.commit == self.branch.commit else "changed"

    @property
    def checks(self) -> str:
        """How many of the criteria that are checks have passed, such as `2/3`; empty without any."""
        boxes = [box for box in self.criteria if box.check]
        return f"{sum(box.is_ticked for box in boxes)}/{len(boxes)}" if boxes else ""


def _handed_in(found: Iterable[Run]) -> Run | None:
    return next((run for run in found if run.commit and not run.verdict), None)


def waiting(board: Board) -> list[Task]:
    """The tasks that wait for a review, by name."""
    return [task for task in board.open_tasks if task.status is Status.REVIEW]


def of(store: Store, board: Board, task: Task, by: Actor, at: str | None = None) -> Review:
    """The work on one task, be it in review or not; at an earlier commit, what had been handed in by then."""
    everything = runs.of_task(store, task, limit=200, at=at)
    history = tuple(run for run in everything if run.task == task.id or run.verdict == runs.REJECTED)
    branch = _handed_by(store, task, history, at) if at else branches.of(store, task.id)
    counts = patch.counts(store.git, branch.base, branch.commit) if branch else ()
    paths, allow = [path for count in counts for path in count.paths], allowed(board)
    return Review(
        task,
        branch,
        counts,
        tuple(criteria(store.body(task, at))),
        history,
        tuple(guarded(paths, store.prefix, allow)),
        tuple(steering(paths, allow)),
        absent(store, history),
        tuple(document for document in board.documents.values() if document.task == task.id),
        None if at else looks.last(store.local, by.name, task.id),
    )


def _handed_by(store: Store, task: Task, history: Iterable[Run], at: str) -> Branch | None:
    """A task's branch as it was handed in last before a commit, where this clone has it."""
    last = _handed_in(history)
    if last is None or not branches.has(store.git, last.commit):
        return None
    return Branch(f"agentos/{task.id}", last.commit, branches.base(store.git, at, last.commit))


def absent(store: Store, history: Iterable[Run]) -> str:
    """The commit that was handed in last, where this clone does not have it."""
    last = _handed_in(history)
    return last.commit if last and not branches.has(store.git, last.commit) else ""


def allowed(board: Board) -> Sequence[str]:
    """The protected paths that a person has opened to agents."""
    return board.config.workspace.allow


def guarded(paths: Iterable[str], prefix: str, allow: Sequence[str]) -> list[str]:
    """Those paths that only a person who says so may let in."""
    return [path for path in paths if protected.why_left_out(path, prefix, allow)]


def steering(paths: Iterable[str], allow: Sequence[str]) -> list[str]:
    """Those paths that steer agents, editors and tools of people, which no check lets in."""
    return [path for path in paths if protected.steers(path, allow)]


# What was shown ---------------------------------------------------------------------------------------------


def show(store: Store, branch: Branch) -> bytes:
    """The whole difference of a task's branch."""
    return patch.diff(store.git, branch.base, branch.commit, has_moves=True)


def fresh(store: Store, seen: Look, branch: Branch) -> tuple[Count, ...] | None:
    """The files that changed since a look, of those that the branch touches or did then.

    None where the commit of that look is gone.
    """
    git = store.git
    if not branches.has(git, seen.commit, seen.base):
        return None
    touched = [
        path for base, commit in ((seen.base, seen.commit), (branch.base, branch.commit))
        for count in patch.counts(git, base, commit) for path in count.paths
    ]  # fmt: skip
    return patch.counts(git, seen.commit, branch.commit, list(dict.fromkeys(touched))) if touched else ()


def news(store: Store, seen: Look, branch: Branch, files: Sequence[Count]) -> bytes:
    """What changed since a look in these files, as `fresh` gives them."""
    paths = [path for count in files for path in count.paths]
    return patch.diff(store.git, seen.commit, branch.commit, paths, has_moves=True) if paths else b""


def remember(store: Store, by: Actor, task: str, branch: Branch) -> None:
    """Keep that somebody was shown the whole difference."""
    looks.keep(store.local, by.name, task, Look(branch.commit, branch.base))


def is_same(store: Store, seen: Look, branch: Branch) -> bool:
    """Whether the branch makes the change that was shown: line for line, or moved along with its base."""
    if seen.commit == branch.commit:
        return True
    if not branches.has(store.git, seen.commit, seen.base):
        return False
    with_places = seen.base == branch.base
    one, other = (
        patch.digest(patch.diff(store.git, base, commit), with_places=with_places)
        for base, commit in ((seen.base, seen.commit), (branch.base, branch.commit))
    )
    return one == other
