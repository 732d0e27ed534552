"""Orphans: sandboxes that wait for ever for a runtime that was killed.

Bubblewrap's first process dies with it, but not from its very start: until bubblewrap has written down whose
it is, it waits for a word that a killed one never gives (0.8, seen in 4 of 200 kills). Nothing of the agent's
has been started then. So each bubblewrap is marked with the runtime it belongs to.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

from agentos.runtime import liveness

MARK = "AGENTOS_RUNTIME"
PROGRAM = "bwrap"


def mark() -> dict[str, str]:
    """The variable that tells whose a sandbox is."""
    return {MARK: liveness.name()}


def sweep() -> list[int]:
    """Kill the sandboxes of runtimes that are no more, whichever board it was; gives their numbers."""
    found = []
    for pid, owner in _sandboxes():
        if liveness.is_over(owner):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                found.append(pid)
    return found


def _sandboxes() -> Iterator[tuple[int, str]]:
    """The processes of bubblewrap that have a mark."""
    start = f"{MARK}=".encode()
    for entry in liveness.PROC.glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "comm").read_text().strip() == PROGRAM:
                for line in (entry / "environ").read_bytes().split(b"\0"):
                    if line.startswith(start):
                        yield int(entry.name), line.removeprefix(start).decode(errors="replace")
