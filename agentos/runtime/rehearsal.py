"""A rehearsal: a run played again from its answers, in a workspace of its own; nothing of it is settled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agentos.errors import NotFound
from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.runtime import clones, prompt, provision, recording, runlog, sandbox
from agentos.runtime.clones import Clone, Start
from agentos.runtime.near import ALL
from agentos.runtime.outbox import Outbox
from agentos.runtime.recording import Recording
from agentos.runtime.runlog import RunLog
from agentos.runtime.runners import Work, replay
from agentos.runtime.sandbox import Ended, Sandbox
from agentos.runtime.workspace import Workspace
from agentos.store.repository import Store

MOST_PATCH = 16 << 20
"""Bytes of a change that is shown."""

_CHANGE = r"""
git add -A . 2>/dev/null
exec git diff --cached --binary --full-index --no-color --no-renames \
  --no-ext-diff --no-textconv "$1" 2>/dev/null
"""


class Rehearsed(NamedTuple):
    """What a run came to when it was played again: its proposals, and the change to the files as a patch."""

    outbox: Outbox
    change: str | None
    log: list[dict[str, Any]]


def rehearse(store: Store, run: str) -> Rehearsed:
    """Play a run of this clone's log again, from the commit it began at, in a fresh workspace.

    Raises NotFound where the log doesn't say enough, Refused without a sandbox, and the failures of a run.
    """
    facts, recorded = runlog.facts(store.local, run), recording.of_run(store, run)
    place = facts.get("workspace")
    if not isinstance(place, dict) or not facts.get("board"):
        raise NotFound(f"The log of {run} doesn't say where it began.")
    board = store.board(str(facts["board"]))
    task, agent = board.task(recorded.task), board.agent(recorded.agent)
    cage = sandbox.find(board.config.sandbox)
    with clones.box(store) as box:
        ws = _workspace(store, board, task, place, cage, box)
        work = _work(store, board, task, agent, recorded, ws, cage, RunLog(box / "runs" / run, store.clock))
        outbox = replay.play(work, recorded)
        return Rehearsed(outbox, _change(work), runlog.lines(box, run)[0])


def _change(work: Work) -> str | None:
    """What the files became, committed or not, as a patch; None where it is too large or can't be told.

    Git's part of the workspace is the agent's, so this runs in the sandbox, and is what it says.
    """
    line = ["sh", "-c", _CHANGE, "sh", work.workspace.parent]
    ended: Ended = work.sandbox.run(line, work.cell(), timeout=max(1.0, work.left()), limit=MOST_PATCH)
    is_whole = ended.code == 0 and len(ended.output) < MOST_PATCH
    return ended.output.decode(errors="surrogateescape") if is_whole else None


def _workspace(
    store: Store, board: Board, task: Task, place: Mapping[str, Any], cage: Sandbox, box: Path
) -> Workspace:
    """A clone at the commit that the run's own followed, set up and in a folder that goes away."""
    base, parent, branch, tip = (str(place.get(name, "")) for name in ("base", "parent", "branch", "tip"))
    names = tuple(map(str, place.get("near", ALL)))
    start = Start(branch, store.git.commit_of(base), store.git.commit_of(parent), parent, tip, names)
    path, home = box / "workspace", box / "home"
    home.mkdir()
    clone = Clone(store, path, start, cage, "rehearsal@agentos.invalid")
    clone.check_out((), True)
    settings = board.config.workspace
    provision.set_up(clone, f"{task.id}.rehearsal", provision.plan(store, settings, start, cage))
    provision.forget(store, f"{task.id}.rehearsal")
    reads = (*clone.reads, *provision.mounts(settings))
    return Workspace(task.id, path, home, branch, base, reads, parent, tip, cage.name, names)


def _work(
    store: Store,
    board: Board,
    task: Task,
    agent: Agent,
    recorded: Recording,
    ws: Workspace,
    cage: Sandbox,
    log: RunLog,
) -> Work:
    told = prompt.gather(store, board, task, agent, is_review=recorded.is_review)
    recording.choose([recorded], told, recorded.is_review, "The run's log")
    body = store.body(task, board.commit)
    return Work(
        agent, task, board, recorded.is_review, workspace=ws, sandbox=cage, log=log, prompt=told, body=body
    )
