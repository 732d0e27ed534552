"""One heartbeat as a process of its own: `python -m agentos.cli.beat`, started by a tick.

It starts without typer, which would be a third of its overhead.
"""

import ctypes
import dataclasses
import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from agentos.errors import AgentOSError

PR_SET_DUMPABLE = 4


def main() -> None:
    """Read what is asked from standard input, and print what it came to; both as JSON."""
    from agentos.model.rules import Assignment
    from agentos.runtime import heartbeat
    from agentos.runtime.beats import Beat
    from agentos.store.repository import Store

    _hide()
    asked = json.load(sys.stdin)
    work = Assignment(**asked["work"])
    try:
        store = Store.open(Path.cwd(), os.environ, lambda: datetime.now(UTC))
        store = dataclasses.replace(store, quiet=asked["quiet"])
        done = heartbeat.beat(store, work, asked["env"], is_alone=True)
    except AgentOSError as error:
        done = Beat(work.agent, work.task, "failed", text=str(error))
    json.dump(dataclasses.asdict(done), sys.stdout)


def _hide() -> None:
    """Let no other process of this user look into this one, which holds keys: prctl(2) of Linux."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    main()
