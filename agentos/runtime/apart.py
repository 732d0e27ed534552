"""Apart: a heartbeat in a process of its own, which is told through a socket what it needs."""

import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta

from agentos.model import times
from agentos.model.rules import Assignment
from agentos.runtime import runlog, secrets
from agentos.runtime.beats import Beat
from agentos.runtime.nursery import Nursery
from agentos.runtime.runlog import RunLog, cut
from agentos.store import claims
from agentos.store.repository import Store

MOST_KEPT = 16_000
"""Characters of a dead process's words that are kept: their beginning and their end."""

GRACE = timedelta(minutes=3)
"""How long a run may take beyond its wall limit, to hand in what it has, before its process is killed."""


def beat(store: Store, work: Assignment, env: Mapping[str, str], nursery: Nursery, limit: str) -> Beat:
    """Start a process, tell it whom to wake for what, and hear what it came to.

    The keys go through a socket, so that neither the command line nor `/proc` shows them. The process is in a
    session of its own: who stops the tick does not stop the run, which settles for itself.
    """
    assert store.git.work_tree is not None
    environ = store.git.plain_environment(with_network=True)
    asked = {
        "work": asdict(work), "env": dict(env), "quiet": store.quiet,
        "root": str(store.git.work_tree / store.prefix),
        "environ": environ,
    }  # fmt: skip
    wall = (times.interval(limit) or timedelta(hours=1)) + GRACE
    with nursery.started(environ) as channel:
        data, is_late = _talk(channel, json.dumps(asked).encode(), wall.total_seconds())
    said = data.decode(errors="replace").strip()
    last = said.rpartition("\n")[2]
    if is_late:
        return _lost(store, work, env, "its process did not end in time and was killed", said)
    try:
        return Beat(**json.loads(last))
    except (ValueError, TypeError):
        text = f"its process died ({last})" if last else "its process died"
        return _lost(store, work, env, cut(secrets.redact(text, env.values()), 500), said)


def _lost(store: Store, work: Assignment, env: Mapping[str, str], text: str, said: str) -> Beat:
    """A heartbeat whose process gave no answer; what it said instead is kept with the run.

    One that died before it claimed its task gets a run's name for that.
    """
    held = (each.run for each in store.claims() if (each.task, each.agent) == (work.task, work.agent))
    claimed, now = next(held, ""), store.clock()
    run = claimed or (claims.run_id(work.agent, now) if said else "")
    if said:
        log = RunLog(runlog.folder(store.local) / run, store.clock, env.values())
        log.write("died", output=cut(said, MOST_KEPT))
        if not claimed:
            log.say(agent=work.agent, task=work.task, start=times.stamp(now), end=times.stamp(now))
            log.say(outcome="lost", text=text)
    return Beat(work.agent, work.task, "lost", run, text=text)


def _talk(channel: socket.socket, asked: bytes, seconds: float) -> tuple[bytes, bool]:
    """What a process says after the line with its number, and whether it took too long and was killed."""
    until, said, is_late = time.monotonic() + seconds, b"", False
    try:
        channel.settimeout(seconds)
        with suppress(BrokenPipeError, ConnectionResetError):
            channel.sendall(asked)
            channel.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while data := channel.recv(65536):
                said += data
                channel.settimeout(max(until - time.monotonic(), 0.001))
    except TimeoutError:
        pid = said.partition(b"\n")[0]
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(pid), signal.SIGKILL)
        is_late = True
    number, _, rest = said.partition(b"\n")
    return rest if number.isdigit() else said, is_late
