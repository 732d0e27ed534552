"""Runs in history: what the trailers of settled commits say about who ran, what it cost, and how it went."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from agentos.model import times
from agentos.model.records import Task
from agentos.store.repository import Store

_FORMAT = "%ct%x00%(trailers:only,unfold,separator=%x1f)"


@dataclass(frozen=True, slots=True)
class Run:
    """One commit, as far as it is about runs; `run` is empty where somebody did something by hand.

    `failure` is the kind of a failed one; `commit` is what was handed in or, with a `verdict` (`approved`,
    `failed`, `seen`), what was reviewed; `diff` names what was handed in.
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
    commit twice.
    """
    most = [f"-n{limit}"] if limit else []
    return _read(store, at or store.refs().head, most, [task.path, f"board/messages/{task.id}"])


def since(store: Store, moment: datetime) -> list[Run]:
    """The runs that were settled since a moment, newest first.

    All of history is read: with `--since`, git stops at the first commit that a wrong clock dated earlier.
    Without a path that takes 10 to 40 ms for 10,000 commits, with one 500.
    """
    line = [f"--since-as-filter={times.stamp(moment)}"]
    everything = _read(store, store.refs().head, line, ["board"] if store.prefix else [])
    return [run for run in everything if run.run]


def _read(store: Store, head: str | None, options: list[str], paths: list[str]) -> list[Run]:
    if head is None:
        return []
    under = [store.prefix + path for path in paths]
    out = store.git.run(
        "log", "-z", *options, f"--format={_FORMAT}", "--end-of-options", head, "--", *under
    )  # fmt: skip
    parts = out.decode(errors="replace").split("\0")
    found = [_run(time, text) for time, text in zip(parts[::2], parts[1::2], strict=False)]
    first = {each.settled: each for each in reversed(found)}
    return [each for each in found if not each.run or first[each.settled] is each]


def _run(time: str, text: str) -> Run:
    pairs = [line.partition(": ") for line in text.split("\x1f") if ": " in line]
    said = {key: value for key, _, value in reversed(pairs)}
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
        commit=said.get("Commit", ""),
        diff=said.get("Diff", ""),
        verdict=said.get("Verdict", ""),
        retry_at=_moment(said.get("Retry-At", "")),
        is_unconfined=said.get("Sandbox") == "off",
    )


def _number(said: Mapping[str, str], name: str) -> float:
    """A trailer as a number; nothing where somebody wrote something else."""
    try:
        return max(0.0, float(said.get(name, 0)))
    except ValueError:
        return 0.0


def _moment(text: str) -> datetime | None:
    try:
        return times.parse(text)
    except ValueError:
        return None
