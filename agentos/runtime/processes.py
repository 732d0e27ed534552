"""One command from start to end: fed, heard, capped in its output, and stopped when its time is up."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from agentos.errors import NotFound

CHUNK = 65536
GRACE = 1.0
"""Seconds that output may still come in after the command has ended; who holds it open longer is cut off."""

PULSE = 0.25
"""Seconds between two looks at what the command uses."""


class Ended(NamedTuple):
    """One command that is over.

    `code` is None where it was stopped, and `stopped` then says why; `output` is stdout and stderr together.
    `is_missing`: there is no such program in the sandbox.
    """

    code: int | None
    output: bytes
    seconds: float
    stopped: str = ""
    is_missing: bool = False


class Kept:
    """The first and the last bytes of an output, and how many between them were dropped."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        room = self._half - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail += data[max(room, 0) :]
        if len(self._tail) > self._half:
            self._dropped += len(self._tail) - self._half
            del self._tail[: len(self._tail) - self._half]

    def __bytes__(self) -> bytes:
        note = b"\n[... %d bytes left out ...]\n" % self._dropped if self._dropped else b""
        return bytes(self._head) + note + bytes(self._tail)


def start(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path | None = None, pass_fds: tuple[int, ...] = ()
) -> "subprocess.Popen[bytes]":
    """Start a command in a session of its own, stdout and stderr in one pipe. Raises NotFound."""
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        raise NotFound(f"{argv[0]} can't be run: there is no such program on PATH.") from None


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Kill a command and its whole session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a command and its whole session, wait for it, and give its pipes back."""
    stop(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def attend(
    process: "subprocess.Popen[bytes]",
    *,
    timeout: float,
    stdin: bytes = b"",
    limit: int = 65536,
    on_output: Callable[[bytes], None] | None = None,
    watch: Callable[[], str] = lambda: "",
) -> Ended:
    """Feed and hear a started command until it is over.

    At most `limit` bytes of output are kept, its middle cut out; `on_output` gets all of it as it comes.
    `watch` is asked four times a second and stops the command by giving a reason.
    """
    talk = _Talk(process, stdin, limit, on_output)
    began = time.monotonic()
    try:
        why = talk.until_over(began + timeout, f"it ran longer than {timeout:g} s", watch)
    finally:
        talk.close()
        end(process)
    return Ended(None if why else process.returncode, bytes(talk.kept), time.monotonic() - began, why)


class _Talk:
    """The pipes of one running command."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        stdin: bytes,
        limit: int,
        on_output: Callable[[bytes], None] | None,
    ) -> None:
        assert process.stdin and process.stdout
        self.process = process
        self.kept = Kept(limit)
        self._in, self._out = process.stdin, process.stdout
        self._left = memoryview(stdin)
        self._on_output = on_output
        self._end = os.pidfd_open(process.pid)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ, self._hear)
        self._selector.register(self._end, selectors.EVENT_READ, self._ended)
        os.set_blocking(self._in.fileno(), False)
        self._selector.register(self._in, selectors.EVENT_WRITE, self._feed)

    def until_over(self, until: float, too_long: str, watch: Callable[[], str]) -> str:
        """Why it had to be stopped, or nothing."""
        seen, deadline = time.monotonic(), until
        is_over, why = False, ""
        while self._selector.get_map():
            now = time.monotonic()
            if now >= deadline:
                if is_over or why:
                    break
                why = too_long
            elif not is_over and not why and now - seen >= PULSE:
                seen, why = now, watch()
            if why and not is_over:
                stop(self.process)
                is_over, deadline = True, now + GRACE
            for key, _ in self._selector.select(max(min(deadline - now, PULSE), 0)):
                key.data()
            if not is_over and self.process.poll() is not None:
                is_over, deadline = True, min(until, time.monotonic()) + GRACE
        return why

    def _hear(self) -> None:
        data = os.read(self._out.fileno(), CHUNK)
        if not data:
            self._selector.unregister(self._out)
            return
        self.kept.add(data)
        if self._on_output:
            self._on_output(data)

    def _feed(self) -> None:
        if self._in.closed:
            return
        try:
            if self._left:
                self._left = self._left[os.write(self._in.fileno(), self._left[:CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._left = self._left[:0]
        if not self._left:
            self._selector.unregister(self._in)
            self._in.close()

    def _ended(self) -> None:
        self._selector.unregister(self._end)
        self._left = self._left[:0]
        self._feed()

    def close(self) -> None:
        self._selector.close()
        os.close(self._end)
