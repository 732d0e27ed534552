"""The nursery: where the processes of heartbeats come from, with all that they need already loaded."""

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType

Answer = Callable[[bytes], bytes]
"""What a process does: it is asked, and gives its answer, which is one line."""

Load = Callable[[], object]
"""What is done once for all of them."""


class Nursery:
    """Starts processes that answer once, each in a session of its own.

    They are forked from a process that is itself a fork of this one: to start Python and load everything
    anew takes longer than all else that a heartbeat costs. Only a process without threads can be forked
    safely, and only Linux promises that it goes well; elsewhere `argv` is started, which is to answer alike.
    """

    def __init__(self, argv: Sequence[str], answer: Answer | None = None, load: Load = lambda: None) -> None:
        self._argv = tuple(argv)
        self._answer = answer
        self._load = load
        self._control: socket.socket | None = None

    def open(self) -> None:
        """Fork the process that forks the others; it loads meanwhile. Before there are threads."""
        is_alone = threading.active_count() == 1
        if self._control is not None or self._answer is None or sys.platform != "linux" or not is_alone:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        if os.fork() == 0:
            ours.close()
            _serve(theirs, self._load, self._answer)
        theirs.close()
        self._control = ours

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        """The process that forks ends; those at work go on."""
        if self._control is not None:
            self._control.close()
            self._control = None

    @contextmanager
    def started(self, environ: Mapping[str, str]) -> Iterator[socket.socket]:
        """A new process at the other end of a socket: what is written there until its end is its question.

        It says its number in a line, then whatever it has to say, and in the last line its answer.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            if self._is_forked(theirs):
                theirs.close()
                yield ours
                return
            end = theirs.fileno()
            with subprocess.Popen(
                self._argv, stdin=end, stdout=end, stderr=end, env=dict(environ), start_new_session=True
            ):
                theirs.close()
                yield ours

    def _is_forked(self, end: socket.socket) -> bool:
        if self._control is None:
            return False
        try:
            socket.send_fds(self._control, [b"."], [end.fileno()])
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True


def _serve(control: socket.socket, load: Load, answer: Answer) -> None:
    """Fork whenever somebody asks; end when nobody can any more, and leave those at work to themselves."""
    with _Ending():
        os.setsid()
        _speak_through(os.open(os.devnull, os.O_RDWR))
        load()
        gc.freeze()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while ends := socket.recv_fds(control, 1, 1)[1]:
            if os.fork() == 0:
                control.close()
                _born(ends[0], answer)
            os.close(ends[0])


def _born(end: int, answer: Answer) -> None:
    """The life of one process: as if it had been started anew, but for what is loaded."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _speak_through(end)
    live(answer)


def live(answer: Answer) -> None:
    """Answer on standard output what standard input asks, and end the process."""
    with _Ending():
        os.write(1, b"%d\n" % os.getpid())
        with open(0, "rb", closefd=False) as asked:
            said = answer(asked.read())
        os.write(1, b"\n" + said + b"\n")
        with suppress(OSError), socket.socket(fileno=os.dup(1)) as channel:
            channel.shutdown(socket.SHUT_WR)  # whoever else still has it must not hold up who listens


class _Ending:
    """Ends the process where the block does, and says what went wrong; it never goes on as what it was."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if error else 0)


def _speak_through(end: int) -> None:
    """Make this the process's input, output and errors."""
    for place in range(3):
        os.dup2(end, place)
    os.close(end)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 (they stay)
    sys.stdout, sys.stderr = (open(place, "w", closefd=False) for place in (1, 2))  # noqa: SIM115
