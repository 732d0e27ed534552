"""Liveness: whether the process that holds a claim is still the one that took it."""

import os
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path

from agentos.store.refs import Claim

PROC = Path("/proc")


def started(pid: int) -> str:
    """When a process began, in ticks since the boot; empty where nobody can tell (no /proc, or it is over).

    It is field 22 of proc_pid_stat(5); the name in field 2 may hold spaces and brackets. A zombie is over.
    """
    try:
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if len(fields) < 20 or fields[0] == "Z" else fields[19]


@cache
def boot() -> str:
    """What tells this boot of the machine from every other; empty where nobody can tell."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def name() -> str:
    """This process as no other is called: its number, its start, and the namespace in which both count."""
    return f"{os.getpid()}.{started(os.getpid())}.{_space()}"


def is_over(name: str) -> bool:
    """Whether the process of this name is gone. One that counts elsewhere, as in a container, never is."""
    pid, began, space = (*name.split("."), "", "")[:3]
    if not pid.isdecimal() or not began or space != _space():
        return False
    return started(int(pid)) != began and not _is_hidden(int(pid))


def _space() -> str:
    try:
        return str((PROC / "self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def is_dead(claim: Claim, host: str) -> bool:
    """Whether the run that holds a claim is certainly over: only where this machine can tell."""
    if claim.host != host or not claim.started or not claim.boot or not boot():
        return False
    return claim.boot != boot() or (started(claim.pid) != claim.started and not _is_hidden(claim.pid))


def _is_hidden(pid: int) -> bool:
    """Whether another user's process is there, of which `/proc` tells us nothing (its option `hidepid`)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not (PROC / str(pid)).exists()
    except OSError:
        return False
    return False


def stop(claim: Claim, host: str) -> bool:
    """Kill a run that outlived its claim: only a process of its own, and only the very one that took it."""
    is_it = claim.host == host and bool(claim.started) and bool(claim.boot) and not is_dead(claim, host)
    if not is_it or not claim.is_alone or claim.pid == os.getpid():
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(claim.pid, signal.SIGKILL)
        return True
    return False
