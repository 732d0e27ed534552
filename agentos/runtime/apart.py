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
from agentos.runtime.beats import Beat
from agentos.runtime.nursery import Nursery
from agentos.runtime.runlog import cut
from agentos.store.repository import Store

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
        try:
            said = _talk(channel, json.dumps(asked).encode(), wall.total_seconds())
        except TimeoutError:
            return Beat(work.agent, work.task, "lost", text="its process did not end in time and was killed")
    last = said.decode(errors="replace").strip().rpartition("\n")[2]
    try:
        return Beat(**json.loads(last))
    except (ValueError, TypeError):
        text = f"its process died ({last})" if last else "its process died"
        return Beat(work.agent, work.task, "lost", text=cut(text, 500))


def _talk(channel: socket.socket, asked: bytes, seconds: float) -> bytes:
    """What a process says after the line with its number. Raises TimeoutError, and it is killed then."""
    until, said = time.monotonic() + seconds, b""
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
        raise
    number, _, rest = said.partition(b"\n")
    return rest if number.isdigit() else said
