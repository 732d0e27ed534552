"""Apart: a heartbeat in a process of its own, which is told what it needs on its standard input."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta

from agentos.model import times
from agentos.model.rules import Assignment
from agentos.runtime.beats import Beat
from agentos.runtime.runlog import cut
from agentos.store.repository import Store

GRACE = timedelta(minutes=3)
"""How long a run may take beyond its wall limit, to hand in what it has, before its process is killed."""


def beat(store: Store, work: Assignment, env: Mapping[str, str], argv: Sequence[str], limit: str) -> Beat:
    """Start `argv`, tell it whom to wake for what, and hear what it came to.

    The keys go through a pipe, so that neither the command line nor `/proc` shows them. The process is in a
    session of its own: who stops the tick does not stop the run, which settles for itself.
    """
    asked = json.dumps({"work": asdict(work), "env": dict(env), "quiet": store.quiet}).encode()
    wall = (times.interval(limit) or timedelta(hours=1)) + GRACE
    assert store.git.work_tree is not None
    try:
        done = subprocess.run(
            list(argv),
            input=asked,
            capture_output=True,
            cwd=store.git.work_tree / store.prefix,
            env=store.git.plain_environment(with_network=True),
            timeout=wall.total_seconds(),
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Beat(work.agent, work.task, "lost", text="its process did not end in time and was killed")
    try:
        return Beat(**json.loads(done.stdout))
    except (ValueError, TypeError):
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return Beat(
            work.agent, work.task, "lost", text=cut(f"its process died ({said or done.returncode})", 500)
        )
