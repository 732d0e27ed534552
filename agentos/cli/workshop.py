"""The second part of the demo: a task that is really done, by a recording or a model, checked and merged."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from agentos.actions import judgement, reviews, setup, tasks
from agentos.cli import context, keys, patches, review
from agentos.cli.beat import nursery
from agentos.model import explaining, times
from agentos.model.words import Status
from agentos.orchestrator import tick as ticking
from agentos.runtime import liveness, orphans, recording, runlog
from agentos.runtime.recording import Recording
from agentos.store import clone
from agentos.store.draft import Draft
from agentos.store.git import Git
from agentos.store.repository import Store
from agentos.store.transaction import transact

if TYPE_CHECKING:
    from agentos.runtime.beats import Beat

RECORDING = "recording.jsonl"
KEPT = f"docs/recordings/{RECORDING}"
TITLE = "Count the words of a text"
BODY = """\
A function `count(text)` in `words.py` says how often each word of a text occurs, whatever its case. An
apostrophe belongs to its word: *it's* is one. Tests stand in `test_words.py`, with Python's own `unittest`.
"""
CHECK = "python3 -m unittest -q"
README = "# Words\n\nSmall tools for texts, without dependencies.\n"

MOST_TICKS = 12
CAP = 200_000
"""Tokens that a run of a live model may take."""

LIVE = {"runner": "llm", "actions": ["comment", "remember", "block"], "budget": {"tokens_per_run": CAP}}
"""A model has nobody to ask here."""

MOST_WAIT = 60.0
"""Seconds that a provider's own hint is waited for; after more, the demo is over."""


def recorded() -> Recording:
    """The run that ships with AgentOS."""
    text = resources.files("agentos").joinpath("examples", RECORDING).read_text()
    return recording.parse(text, RECORDING)[0]


def repository(place: Path) -> Git:
    """A repository of its own, also below another one, whatever this person's git is set to."""
    place.mkdir(parents=True, exist_ok=True)
    git = Git(place / ".git", place / ".git", place, os.environ)
    git.run("init", "-q", "-b", "main")
    for key, value in (("user.name", "Demo"), ("user.email", "demo@example.com")):
        git.run("config", key, value)
    return git


def prepare(place: Path, model: str | None, tool_mode: str) -> Store:
    """A new repository with a task, one agent that builds and one that runs the checks."""
    git = repository(place)
    (place / "README.md").write_text(README)
    (place / KEPT).parent.mkdir(parents=True)
    (place / KEPT).write_bytes(resources.files("agentos").joinpath("examples", RECORDING).read_bytes())
    git.run("add", ".")
    git.run("-c", "commit.gpgSign=false", "commit", "-qm", "A repository of somebody's")
    store, _ = clone.set_up(place, os.environ, context.now, None)

    played = {"runner": "replay", "replay": KEPT}
    thinks = {**LIVE, "tool_mode": tool_mode} if model else played

    def fill(draft: Draft) -> None:
        setup.init(draft, store.branch, "core", None, lambda path: None)
        _equip(draft, "technical", model, **thinks)
        _equip(draft, "qa", None, runner="checks")
        tasks.add(draft, TITLE, body=BODY, checks=[CHECK], assignees=["technical"])

    transact(store, fill, store.person(), subject="agentos init: a board and a task")
    return store


def _equip(draft: Draft, name: str, model: str | None, **settings: Any) -> None:
    agent = draft.board.agents[name]
    plain = agent.agentos.model_dump(mode="json", exclude_unset=True) | settings
    draft.put(agent.replace(agentos=plain, **({"model": model} if model else {})))


def work(store: Store, told: ticking.OnBeat) -> str:
    """Tick until the task waits for a person; gives why it does not, or nothing once its checks passed."""
    found, _ = keys.parted(os.environ)
    with _stoppable(store), nursery() as born:
        options = ticking.Options(jobs=2, force=True, keys=found, variables=os.environ, nursery=born)
        for _ in range(MOST_TICKS):
            report = ticking.tick(store, options, told)
            board = store.board()
            task = board.task("1")
            if task.blocked:
                return task.blocked
            if task.status is Status.REVIEW and reviews.of(store, board, task, store.person()).verdicts:
                return ""
            if report.is_idle or not all(_is_soon(store, beat) for beat in report.beats):
                said = [beat.text for beat in report.beats if beat.again]
                return (said or [f"it waits for {explaining.next_step(board, task)}"])[0]
    return f"it is not done after {MOST_TICKS} ticks"


def _is_soon(store: Store, beat: "Beat") -> bool:
    """Whether a run may be tried again now; a short wait that the provider asks for is waited here."""
    rest = (times.parse(beat.again) - store.clock()).total_seconds() if beat.again else 0.0
    if rest > 0:
        kind = runlog.facts(store.local, beat.run).get("kind")
        if kind != "rate-limit" or rest > MOST_WAIT:
            return False
        time.sleep(rest)
    return True


@contextmanager
def _stoppable(store: Store) -> Iterator[None]:
    """Ctrl-C ends the runs at work, which cost something and would go on without us; then it is as ever."""

    def stop(number: int, frame: FrameType | None) -> None:
        for claim in store.claims():
            liveness.stop(claim, socket.gethostname())
        orphans.sweep()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def judge(store: Store) -> list[str]:
    """What `agentos review 1` shows, and then a person's approval of that very commit."""
    found = reviews.of(store, store.board(), store.board().task("1"), store.person())
    assert found.branch is not None
    shown = [*review.lines(store, found), "", *patches.shown(reviews.show(store, found.branch))]
    judgement.approve(
        store, "1", store.person(), commit=found.branch.commit, text="Small, and tested. Thanks!"
    )
    return shown
