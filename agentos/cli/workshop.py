"""The second part of the demo: a task that is really done, by a recording or a model, checked and merged."""

import os
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from agentos.actions import judgement, reviews, setup, tasks
from agentos.cli import context, keys, patches
from agentos.cli.tick import APART, MARKS
from agentos.model.activity import short
from agentos.model.rules import Assignment
from agentos.model.words import Status
from agentos.orchestrator import tick as ticking
from agentos.store import clone
from agentos.store.draft import Draft
from agentos.store.repository import Store
from agentos.store.transaction import transact

if TYPE_CHECKING:
    from agentos.runtime.beats import Beat

RECORDING = "recording.jsonl"
TITLE = "Count the words of a text"
BODY = """\
A function `count(text)` in `words.py` says how often each word of a text occurs, whatever its case. An
apostrophe belongs to its word: *it's* is one. Tests stand in `test_words.py`, with Python's own `unittest`.
"""
CHECK = "python3 -m unittest -q"
README = "# Words\n\nSmall tools for texts, without dependencies.\n"

MOST_TICKS, MOST_SHOWN = 12, 100
CAP = 200_000
"""Tokens that a live run may take."""


def prepare(place: Path, model: str | None) -> Store:
    """A new repository with a task, one agent that builds and one that runs the checks."""
    clone.ensure_repository(place, os.environ)
    for key, value in (("user.name", "Demo"), ("user.email", "demo@example.com")):
        subprocess.run(["git", "-C", str(place), "config", key, value], check=True)
    (place / "README.md").write_text(README)
    (place / RECORDING).write_bytes(resources.files("agentos").joinpath("examples", RECORDING).read_bytes())
    for args in (["add", "."], ["commit", "-qm", "A repository of somebody's"]):
        subprocess.run(["git", "-C", str(place), *args], check=True)
    store, _ = clone.set_up(place, os.environ, context.now, None)

    def fill(draft: Draft) -> None:
        setup.init(draft, store.branch, "core", None, lambda path: None)
        thinks = {"runner": "llm", "budget": {"tokens_per_run": CAP}} if model else {"runner": "replay"}
        _equip(draft, "technical", model, **thinks, replay=None if model else RECORDING)
        _equip(draft, "qa", None, runner="checks")
        tasks.add(draft, TITLE, body=BODY, checks=[CHECK], assignees=["technical"])

    transact(store, fill, store.person(), subject="agentos init: a board and a task")
    return store


def _equip(draft: Draft, name: str, model: str | None, **settings: Any) -> None:
    agent = draft.board.agents[name]
    plain = agent.agentos.model_dump(mode="json", exclude_unset=True) | settings
    changed = {"agentos": {key: value for key, value in plain.items() if value is not None}}
    draft.put(agent.replace(**changed, **({"model": model} if model else {})))


def work(store: Store) -> bool:
    """Tick until the task waits for a person, saying what happens; gives whether its checks have passed."""
    found, _ = keys.parted(os.environ)
    options = ticking.Options(jobs=2, force=True, keys=found, variables=os.environ, apart=APART)
    for _ in range(MOST_TICKS):
        ticking.tick(store, options, lambda news: _say(store, news))
        task = store.board().task("1")
        if task.blocked:
            context.say(f"! blocked: {task.blocked}")
            return False
        if task.status is Status.REVIEW and reviews.of(store, store.board(), task, store.person()).verdicts:
            return True
    return False


def _say(store: Store, news: Union[Assignment, "Beat", str]) -> None:
    if isinstance(news, str) or getattr(news, "outcome", "") == "passed":
        return
    if isinstance(news, Assignment):
        context.say(f"→ {news.agent} {'checks' if news.is_review else 'works on'} {short(news.task)}")
        return
    for line in _steps(store, news.run):
        context.say(f"    {line[:MOST_SHOWN]}")
    context.say(f"{MARKS[news.outcome]} {news.agent}: {news.text or short(news.task)}")


def _steps(store: Store, run: str) -> Iterator[str]:
    """What a run did, a line each: tools with what came back, and checks."""
    import json

    from agentos.runtime import runlog

    for said in runlog.lines(store.local, run)[0]:
        if said["kind"] == "call":
            given = json.loads(said["arguments"] or "{}")
            shown = given.get("path") or given.get("command") or given.get("name") or ""
            yield f"{said['tool']:<8} {shown}"
        elif said["kind"] == "result" and said["tool"] == "run":
            yield f"{'':<8} {' … '.join(said['text'].split(chr(10))[:1])} {_last(said['text'])}"
        elif said["kind"] == "check":
            yield f"check    {said['command']}: {'passes' if said['code'] == 0 else 'fails'}"


def _last(text: str) -> str:
    return next((line for line in reversed(text.splitlines()[1:]) if line.strip()), "")


def review(store: Store) -> list[str]:
    """The difference as `agentos review` shows it, and the approval of a person for that very commit."""
    found = reviews.of(store, store.board(), store.board().task("1"), store.person())
    assert found.branch is not None
    shown = list(patches.shown(reviews.show(store, found.branch)))
    judgement.approve(
        store, "1", store.person(), commit=found.branch.commit, text="Small, and tested. Thanks!"
    )
    return shown
