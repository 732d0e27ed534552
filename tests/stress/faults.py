"""Faults at one call of the system's: a transaction killed there, or told that the disk is full.

`fault.c` is compiled and loaded into this process, started anew for it, and into every git that it starts. It
counts the calls that change files below the copy of the repository in which one transaction runs.
"""

import ctypes
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from conftest import Scratch

KILL, KILL_GROUP = -1, -2


class _Control(ctypes.Structure):
    """`struct control` of fault.c, which all the processes see."""

    _fields_ = (
        ("count", ctypes.c_long), ("at", ctypes.c_long), ("act", ctypes.c_long), ("sticky", ctypes.c_long),
        ("under", ctypes.c_char * 512),
    )  # fmt: skip


class Ended(NamedTuple):
    """How a process left that a fault was put into: its code, what it said, and the calls it made."""

    code: int
    said: str
    calls: int


class Faults:
    """The means to let one call fail; only in a process that was started by `prepared`."""

    def __init__(self) -> None:
        with Path(os.environ["FAULT_FILE"]).open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), ctypes.sizeof(_Control))
        self._control = _Control.from_buffer(self._shared)

    def run(
        self, scratch: Scratch, work: Callable[[], object], at: int = 0, act: int = 0, *, sticky: bool = False
    ) -> Ended:
        """Do `work` in a process of its own, in which the call number `at` fails; 0 for none."""
        said, out = os.pipe()
        child = os.fork()
        if not child:
            os.setsid()
            os.dup2(out, 2)
            os.chdir(scratch.root)
            self._arm(scratch.root, at, act, sticky)
            _leave_after(work)
        os.close(out)
        _, status = os.waitpid(child, 0)
        self._control.under = b""
        with os.fdopen(said) as lines:
            return Ended(os.waitstatus_to_exitcode(status), lines.read(), self._control.count)

    def _arm(self, root: Path, at: int, act: int, sticky: bool) -> None:
        self._control.count = 0
        self._control.at, self._control.act, self._control.sticky = at, act, sticky
        self._control.under = os.fsencode(root) + b"/"


def _leave_after(work: Callable[[], object]) -> None:
    code = 1
    try:
        work()
        code = 0
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    except BaseException as error:
        os.write(2, f"raised {error!r}\n".encode())
        code = 70
    finally:
        os._exit(code)


def prepared(place: Path) -> Faults | None:
    """The means, in a process that has the library loaded: this one is started anew for it. None where
    nothing can be compiled or loaded, which is said."""
    if "FAULT_FILE" in os.environ:
        return Faults()
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        print("no faults are tried: that takes Linux and a C compiler")
        return None
    library, control, bin_ = place / "fault.so", place / "control", place / "bin"
    source = Path(__file__).with_name("fault.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    control.write_bytes(bytes(ctypes.sizeof(_Control)))
    bin_.mkdir()
    preload = f"LD_PRELOAD={library} FAULT_FILE={control}"
    (bin_ / "git").write_text(f'#!/bin/sh\n{preload} exec {shutil.which("git")} "$@"\n')
    (bin_ / "git").chmod(0o755)
    env = os.environ | {
        "LD_PRELOAD": str(library), "FAULT_FILE": str(control), "PATH": f"{bin_}:{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run([sys.executable, *sys.argv], env=env, check=False)
    sys.exit(done.returncode)
