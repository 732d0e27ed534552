"""The bubblewrap sandbox: a minimal root, namespaces of its own, and nothing that outlives the command."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from agentos.errors import AgentOSError
from agentos.runtime import forward, limits, orphans, processes, relay, root
from agentos.runtime.processes import Ended
from agentos.runtime.sandbox import PATHS, Cell

WORKSPACE = "/workspace"
"""Where a command finds its workspace besides the real path: the same for every task, so that what a set-up
installs, which likes to remember where it is, serves all of them."""

OURS = "/run/agentos"


class Bubblewrap:
    """Runs commands under bubblewrap; docs/sandbox.md says what holds and what does not."""

    name = "bubblewrap"

    def run(
        self,
        argv: Sequence[str],
        cell: Cell,
        *,
        timeout: float,
        stdin: bytes = b"",
        limit: int = 65536,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Ended:
        """Run a command in its cell; when this returns, nothing of it is alive.

        The code is 127 where there is no such program. Raises AgentOSError where bubblewrap itself fails.
        """
        with (
            root.made_up(cell.home) as files,
            relay.opened(cell.network) if cell.network else nullcontext() as socket,
            _started(options(cell, files, socket), inner(argv, socket, cell.network)) as started,
            _confined(started, cell) as watch,
        ):
            started.go()
            ended = processes.attend(
                started.process, timeout=timeout, stdin=stdin, limit=limit, on_output=on_output, watch=watch
            )
        is_missing = ended.code == 1 and ended.output.startswith(b"bwrap: execvp ")
        return ended._replace(code=127, is_missing=True) if is_missing else ended


def options(cell: Cell, made_up: Path, socket: Path | None) -> list[str]:
    """Bubblewrap's options; later mounts lie over earlier ones."""
    line = [*_NAMESPACES, *root.mounts(), *root.made_up_mounts(made_up)]
    for place in (*_interpreter(), *cell.reads):
        line += ["--ro-bind", str(place), str(place)]
    for place in (cell.workspace, cell.home):
        line += ["--bind", str(place), str(place)]
    line += ["--bind", str(cell.workspace), WORKSPACE]
    if socket is not None:
        line += ["--ro-bind", forward.__file__, f"{OURS}/forward.py", "--bind", str(socket), f"{OURS}/relay"]
    line += ["--remount-ro", "/", "--chdir", WORKSPACE, "--clearenv"]
    env = cell.environment() | (forward.VARIABLES if socket else {})
    env["PATH"] = env["PATH"].replace(str(cell.workspace), WORKSPACE)
    return line + [part for name, value in env.items() for part in ("--setenv", name, value)]


def inner(argv: Sequence[str], socket: Path | None, network: Sequence[str]) -> list[str]:
    """The command, behind the forwarder where there is a network."""
    if socket is None:
        return list(argv)
    listed = (re.fullmatch(r"127\.0\.0\.1:(\d{1,5})", host) for host in network)
    own = [found[1] for found in listed if found and int(found[1]) < 1 << 16]
    return [_python(), "-I", "-S", f"{OURS}/forward.py", f"{OURS}/relay", ",".join(own), *argv]


_NAMESPACES = (
    "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
    "--unshare-cgroup-try", "--disable-userns", "--cap-drop", "ALL",
    "--uid", "1000", "--gid", "1000", "--hostname", "agentos",
    "--die-with-parent", "--new-session",
)  # fmt: skip


def _interpreter() -> tuple[Path, ...]:
    """The Python that AgentOS itself runs on, where it is not under /usr; a virtual environment is not it."""
    base = Path(os.path.realpath(sys.base_prefix))
    return () if base.is_relative_to("/usr") or len(base.parts) < 3 else (base,)


def _python() -> str:
    return str(Path(os.path.realpath(sys.base_prefix), "bin", "python3"))


class Started(NamedTuple):
    """A sandbox that waits: bubblewrap outside, its first process inside, and the word that lets it go."""

    process: "subprocess.Popen[bytes]"
    init: int
    go: Callable[[], object]


@contextmanager
def _started(options: list[str], argv: Sequence[str]) -> "Iterator[Started]":
    """Bubblewrap with its namespaces made, holding before the command."""
    info, info_in = os.pipe()
    block, go = os.pipe()
    spec = _spec(options)
    held = {info, info_in, block, go, spec}
    try:
        fds = ["--info-fd", str(info_in), "--block-fd", str(block), "--args", str(spec)]
        line = [program() or "bwrap", *fds, "--", *argv]
        process = processes.start(line, {"PATH": PATHS} | orphans.mark(), pass_fds=(info_in, block, spec))
        for handle in (info_in, block, spec):
            held.remove(handle)
            os.close(handle)
        try:
            with open(info, "rb", closefd=False) as report:
                told = report.read()
            if not told:
                raise _stillborn(process)
            yield Started(process, int(json.loads(told)["child-pid"]), lambda: os.write(go, b"\n"))
        finally:
            processes.end(process)
    finally:
        for handle in held:
            os.close(handle)


@contextmanager
def _confined(started: Started, cell: Cell) -> "Iterator[limits.Watch]":
    """The waiting sandbox under its limits, and the watch over it. Raises AgentOSError where it has ended.

    Bubblewrap names its first process before it mounts anything: a folder that is gone ends it after that.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(limits.group(started.init, cell.limits))
            stack.enter_context(_gone(started.init))
            limits.confine(started.init, cell.limits)
            watch = limits.Watch(started.init, cell.limits, (cell.workspace, cell.home))
        except (ProcessLookupError, FileNotFoundError):
            raise _stillborn(started.process) from None
        yield watch


def _stillborn(process: "subprocess.Popen[bytes]") -> AgentOSError:
    """What bubblewrap said of why it could not start."""
    said = processes.attend(process, timeout=5).output.decode(errors="replace").strip()
    return AgentOSError(f"bubblewrap could not start: {said}")


def _spec(options: list[str]) -> int:
    """The options in a file that only we have: an environment is no business of `ps`."""
    handle = os.memfd_create("bubblewrap")
    os.write(handle, b"".join(os.fsencode(part) + b"\0" for part in options))
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


@contextmanager
def _gone(init: int) -> Iterator[None]:
    """On leaving, kill the first process and wait; the kernel lets it die only after all the others."""
    handle = os.pidfd_open(init)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], 10)
        os.close(handle)


def program() -> str | None:
    """Bubblewrap, from the system's own folders alone."""
    return shutil.which("bwrap", path=f"{PATHS}:/run/current-system/sw/bin")


@cache
def hindrance() -> str:
    """Why bubblewrap can't run here, in a sentence, or nothing; found by a trial run, once a process."""
    if sys.platform != "linux":
        return "the sandbox needs Linux."
    if program() is None:
        return "bubblewrap is not installed (package `bubblewrap`, version 0.8 or later)."
    with tempfile.TemporaryDirectory(prefix="agentos-") as folder:
        cell = Cell(Path(folder), Path(folder))
        try:
            ended = Bubblewrap().run(["true"], cell, timeout=10)
        except AgentOSError as error:
            return f"{error} (user namespaces may be off, or bubblewrap older than 0.8)."
        except OSError as error:
            return f"bubblewrap can't be confined: {error}."
    said = ended.output.decode(errors="replace").strip()
    return "" if ended.code == 0 else f"bubblewrap's trial run failed: {said}."
