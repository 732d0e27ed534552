"""One heartbeat as a process of its own: `python -m agentos.cli.beat`, or forked by a tick.

It starts without typer, which would be a third of its overhead.
"""

import dataclasses
import importlib
import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agentos.errors import AgentOSError

if TYPE_CHECKING:
    from agentos.runtime.nursery import Nursery

PR_SET_DUMPABLE = 4

ALONE = (sys.executable, "-P", "-m", "agentos.cli.beat")
"""The command of such a process; `-P` keeps the repository's own files from being imported."""


def answer(asked: bytes) -> bytes:
    """Wake the agent that is asked for, and say what it came to; both as JSON.

    From then on the process has the environment that it was given, and nobody else's.
    """
    from agentos.model.rules import Assignment
    from agentos.runtime import heartbeat
    from agentos.runtime.beats import Beat
    from agentos.store.repository import Store

    _hide()
    given = json.loads(asked)
    work, root = Assignment(**given["work"]), Path(given["root"])
    os.environ.clear()
    os.environ.update(given["environ"])
    os.chdir(root)
    try:
        store = Store.open(root, given["environ"], lambda: datetime.now(UTC))
        store = dataclasses.replace(store, quiet=given["quiet"])
        done = heartbeat.beat(store, work, given["env"], is_alone=True)
    except (AgentOSError, OSError) as error:
        done = Beat(work.agent, work.task, "failed", text=str(error))
    return json.dumps(dataclasses.asdict(done)).encode()


def nursery() -> "Nursery":
    """Where a tick gets the processes for its heartbeats from."""
    from agentos.runtime.nursery import Nursery

    return Nursery(ALONE, answer, _load)


def _load() -> None:
    """What every heartbeat that is more than simulated needs, and whether there is a sandbox here.

    Of libraries that are loaded where they are used, the first use is here; it was 70 ms of each heartbeat.
    """
    from agentos.model import markdown, records
    from agentos.runtime import bubblewrap
    from agentos.store import fields

    importlib.import_module("agentos.runtime.run")
    fields.load("yaml: loaded")
    markdown.criteria("- [ ] loaded")
    for kind in records.RECORDS.values():
        kind.model_rebuild()
    bubblewrap.hindrance()


def _hide() -> None:
    """Let no other process of this user look into this one, which holds keys: prctl(2) of Linux."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from agentos.runtime.nursery import live

    live(answer)
