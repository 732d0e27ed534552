"""Limits of a sandboxed command: what the kernel enforces, and a watch over what it does not."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agentos.runtime.sandbox import PATHS, Limits

GROUPS = Path("/sys/fs/cgroup")
PREFIX = "agentos-"
DESCRIPTORS = 4096

PATIENCE = 60.0
"""Seconds in which `du` is to have counted the files of a sandbox."""


def confine(pid: int, limits: Limits) -> None:
    """Lower the process's own limits, which everything it starts inherits.

    RLIMIT_NPROC counts the processes of the sandbox's own user namespace, and does nothing for root.
    RLIMIT_DATA and not RLIMIT_AS, since JavaScript engines reserve far more addresses than they use.
    """
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_NPROC, limits.processes),
    ):
        hard = resource.prlimit(pid, kind)[1]
        low = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(pid, kind, (low, low))


@contextmanager
def group(pid: int, limits: Limits) -> Iterator[Path | None]:
    """The process in a control group of its own, as long as the block lasts; None where we can't make one."""
    made = _make(pid, limits)
    try:
        yield made
    finally:
        if made is not None:
            with suppress(OSError):
                made.rmdir()


def _make(pid: int, limits: Limits) -> Path | None:
    for parent in _parents():
        place = parent / f"{PREFIX}{os.getpid()}-{pid}"
        try:
            _sweep(parent)
            place.mkdir()
        except OSError:
            continue
        try:
            (place / "pids.max").write_text(str(limits.processes))
            with suppress(OSError):
                (place / "memory.max").write_text(str(limits.memory))
            (place / "cgroup.procs").write_text(str(pid))
        except OSError:
            with suppress(OSError):
                place.rmdir()
            continue
        return place
    return None


def _parents() -> Iterator[Path]:
    """Where a control group that counts processes could be made: version 1, else version 2."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "pids":
            yield GROUPS / "pids" / path.lstrip("/")
        elif not controllers:
            own = GROUPS / path.lstrip("/")
            yield from (own, own.parent) if path != "/" else (own,)


def _sweep(parent: Path) -> None:
    """Remove the empty groups of a process that was killed."""
    for left in parent.glob(f"{PREFIX}*"):
        owner = left.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            with suppress(OSError):
                left.rmdir()


class Watch:
    """Looks at what the processes of one sandbox use; calling it gives a reason to stop them, or nothing."""

    def __init__(self, init: int, limits: Limits, places: tuple[Path, ...]) -> None:
        self._limits = limits
        self._places = places
        self._space = os.readlink(f"/proc/{init}/ns/pid")
        self._free = {place: os.statvfs(place) for place in places}

    def __call__(self) -> str:
        count, memory = self._processes()
        if count > self._limits.processes:
            return f"it had more than {self._limits.processes} processes"
        if memory > self._limits.memory:
            return f"it used more than {self._limits.memory >> 20} MiB of memory"
        return self._disk()

    def _processes(self) -> tuple[int, int]:
        """How many there are, and the bytes of memory that are theirs and not of a file."""
        count = pages = 0
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError, ValueError):
                if os.readlink(f"/proc/{name}/ns/pid") == self._space:
                    fields = Path("/proc", name, "statm").read_text().split()
                    count, pages = count + 1, pages + int(fields[1]) - int(fields[2])
        return count, pages * resource.getpagesize()

    def _disk(self) -> str:
        """The exact size is asked only when the disk as a whole has lost a part of it: a walk is slow."""
        most = self._limits
        for place, before in self._free.items():
            try:
                now = os.statvfs(place)
            except FileNotFoundError:
                return f"{place} is gone"
            lost = (before.f_bavail - now.f_bavail) * before.f_frsize
            if lost > most.disk // 8 or before.f_ffree - now.f_ffree > most.files // 8:
                try:
                    size, files = _size(self._places)
                except subprocess.TimeoutExpired:
                    return f"its files could not be counted within {PATIENCE:.0f} s"
                self._free[place] = now
                if size > most.disk:
                    return f"its files came to more than {most.disk >> 20} MiB"
                if files > most.files:
                    return f"it had more than {most.files} files"
        return ""


def _size(places: tuple[Path, ...]) -> tuple[int, int]:
    """Bytes on disk and number of files below these folders; links are not followed.

    By `du`, since folders can be nested deeper than Python's own walk, or any path, can go.
    """
    return _sum("--block-size=1", places), _sum("--inodes", places)


def _sum(option: str, places: tuple[Path, ...]) -> int:
    line = ["du", "-sx", option, "--", *map(str, places)]
    done = subprocess.run(line, capture_output=True, check=False, timeout=PATIENCE, env={"PATH": PATHS})
    return sum(int(row.split(b"\t")[0]) for row in done.stdout.splitlines())
