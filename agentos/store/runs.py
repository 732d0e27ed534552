"""Runs in history: what the trailers of settled commits say about who ran, what it cost, and how it went."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import PurePosixPath
from typing import NamedTuple

from agentos.model import times
from agentos.model.activity import Event
from agentos.model.records import Task
from agentos.store import history
from agentos.store.repository import Store

_FORMAT = "%x01%ct%x00%H%x00%P%x00%(trailers:only,unfold,separator=%x1f)"

REJECTED = "rejected"
"""The verdict of a person who sent work back."""

MOVED = frozenset(("task.renamed", "task.archived", "message.moved"))
"""What happens to a task's files without anybody having said anything about it."""


@dataclass(frozen=True, slots=True)
class Run:
    """One commit, as far as it is about runs; `run` is empty where somebody did something by hand.

    `failure` is the kind of a failed one; `commit` is what was handed in or, with a `verdict` (an agent's
    `approved`, `failed` or `seen`, a person's `rejected`), what was reviewed; `diff` names what was handed
    in.
    """

    time: datetime
    agent: str = ""
    run: str = ""
    task: str = ""
    runner: str = ""
    model: str = ""
    tokens: int = 0
    usd: float = 0.0
    failure: str = ""
    commit: str = ""
    diff: str = ""
    verdict: str = ""
    retry_at: datetime | None = None
    is_unconfined: bool = False
    """Whether a person had allowed commands without a sandbox."""

    @property
    def settled(self) -> tuple[str, ...]:
        """What tells it from every other: a run settles once."""
        return self.run, self.commit, self.verdict, self.failure


def of_task(store: Store, task: Task, limit: int | None = 50, at: str | None = None) -> list[Run]:
    """The last commits that changed a task or said something about it, newest first; up to commit `at`.

    Without a `limit`, all of them. A run counts once, though a rewritten branch that was merged again has its
    commit twice. The task is followed through its earlier names, as history has them: its runs then are of
    the task as it is called now, and a commit that only renames it is none of these.
    """
    start, path, names = at or store.refs().head, task.path, [task.id]
    found: list[_Commit] = []
    while start is not None and len(names) <= history.MOST_NAMES and len(found) != limit:
        most = [f"-n{limit - len(found)}"] if limit else []
        chain = _read(store, start, [*most, *_RAW], [path, *(f"board/messages/{name}" for name in names)])
        born = next((each for each in reversed(chain) if path in each.came), None)
        chain = chain[: chain.index(born) + 1] if born else chain
        found += [each for each in chain if each.run.run or each.told(names) != {"message.moved"}]
        if born is None or Event("task.created", names[-1]) in born.events:
            break
        before = history.earlier(store.git, store.prefix, born.oid, born.parents, path)
        if before is None:
            break
        if not born.run.run and born.told(names) <= MOVED and before.oid == born.came[path]:
            found = [each for each in found if each is not born]
        start, path = born.parents[0], before.path
        names.append(PurePosixPath(path).stem)
    return [replace(run, task=task.id) if run.task in names else run for run in _once(found)]


def verdicts(found: Iterable[Run], commit: str) -> list[Run]:
    """What agents said of this very commit, newest first: since it was handed in last, and nothing of what a
    person has sent back after that."""
    newest = takewhile(lambda run: run.verdict != REJECTED and (run.verdict or not run.commit), found)
    return [run for run in newest if run.verdict and run.commit == commit]


def since(store: Store, moment: datetime) -> list[Run]:
    """The runs that were settled since a moment, newest first.

    All of history is read: with `--since`, git stops at the first commit that a wrong clock dated earlier.
    Without a path that takes 10 to 40 ms for 10,000 commits, with one 500.
    """
    line, head = [f"--since-as-filter={times.stamp(moment)}"], store.refs().head
    everything = _once(_read(store, head, line, ["board"] if store.prefix else [])) if head else []
    return [run for run in everything if run.run]


class _Commit(NamedTuple):
    """A commit as far as it is about runs: what it says happened, and the blobs of the files it made."""

    oid: str
    parents: tuple[str, ...]
    run: Run
    events: tuple[Event, ...]
    came: dict[str, str]

    def told(self, names: list[str]) -> set[str]:
        """What it says happened to a task of these names; nothing where it says nothing at all."""
        return {event.name for event in self.events if event.subject in names}


_RAW = ("--raw", "--no-renames", "--no-abbrev")


def _read(store: Store, head: str, options: list[str], paths: list[str]) -> list[_Commit]:
    """The commits that changed one of these paths; `came` is known with `_RAW`."""
    under = [store.prefix + path for path in paths]
    out = store.git.run(
        "log", "-z", *options, f"--format={_FORMAT}", "--end-of-options", head, "--", *under
    )  # fmt: skip
    return list(_parsed(iter(out.decode(errors="replace").split("\0")), store.prefix))


def _parsed(tokens: Iterator[str], prefix: str) -> Iterator[_Commit]:
    """The commits in the output of `log -z --raw`: four fields each, then two tokens a file."""
    found: _Commit | None = None
    for token in tokens:
        if token.startswith("\1"):
            if found:
                yield found
            oid, parents, text = (next(tokens) for _ in range(3))
            pairs = [line.partition(": ") for line in text.split("\x1f") if ": " in line]
            events = tuple(Event.read(value) for key, _, value in pairs if key == "Event")
            said = {key: value for key, _, value in reversed(pairs)}
            found = _Commit(oid, tuple(parents.split()), _run(token[1:], said), events, {})
        elif (raw := token.lstrip("\n")).startswith(":") and found:
            _, _, _, blob, how = raw.split()
            path = next(tokens).removeprefix(prefix)
            found.came.update({path: blob} if how == "A" else {})
    if found:
        yield found


def _once(commits: Iterable[_Commit]) -> list[Run]:
    """Their runs, each once, and what people did in between."""
    found = [each.run for each in commits]
    first = {each.settled: each for each in reversed(found)}
    return [each for each in found if not each.run or first[each.settled] is each]


def _run(time: str, said: Mapping[str, str]) -> Run:
    rejected = said.get("Rejected", "")
    return Run(
        time=datetime.fromtimestamp(int(time), UTC),
        agent=said.get("Agent", ""),
        run=said.get("Run", ""),
        task=said.get("Run-Task", ""),
        runner=said.get("Runner", ""),
        model=said.get("Model", ""),
        tokens=int(_number(said, "Tokens")),
        usd=_number(said, "Cost-USD"),
        failure=said.get("Failure", ""),
        commit=said.get("Commit", rejected),
        diff=said.get("Diff", ""),
        verdict=said.get("Verdict", REJECTED if rejected else ""),
        retry_at=_moment(said.get("Retry-At", "")),
        is_unconfined=said.get("Sandbox") == "off",
    )


def _number(said: Mapping[str, str], name: str) -> float:
    """A trailer as a number; nothing where somebody wrote something else."""
    try:
        number = float(said.get(name, 0))
    except ValueError:
        return 0.0
    return number if 0 <= number < math.inf else 0.0


def _moment(text: str) -> datetime | None:
    try:
        return times.parse(text)
    except ValueError:
        return None
