"""One heartbeat as a process of its own: `python -m agentos.cli.beat`, started by a tick."""

import ctypes
import dataclasses
import json
import os
import sys
from contextlib import suppress

from agentos.cli import context
from agentos.errors import AgentOSError

PR_SET_DUMPABLE = 4


def main() -> None:
    """Read what is asked from standard input, and print what it came to; both as JSON."""
    from agentos.model.rules import Assignment
    from agentos.runtime import heartbeat
    from agentos.runtime.beats import Beat

    _hide()
    asked = json.load(sys.stdin)
    work = Assignment(**asked["work"])
    try:
        done = heartbeat.beat(context.store(), work, asked["env"], is_alone=True)
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
