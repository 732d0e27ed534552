"""What runs do, a line a step, told while they are at work: read from their logs as these grow."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.cli import context
from agentos.runtime import runlog

if TYPE_CHECKING:
    from rich.text import Text

PAUSE = 0.1
"""Seconds between two looks at the logs."""

MOST = 160
"""Characters of one thing that is said."""

Tell = Callable[["Text"], None]


class Steps:
    """The runs of one clone; each step of theirs is told once, by whichever thread sees it first."""

    def __init__(self, local: Path, tell: Tell) -> None:
        self._local, self._tell = local, tell
        self._places: dict[str, int] = {}
        self._words: dict[str, str] = {}
        self._lock = threading.Lock()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Tell them for the time of a `with`, from a thread of its own."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(PAUSE):
                self.catch_up()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.catch_up()

    def catch_up(self) -> None:
        """Tell what has been logged up to now."""
        with self._lock:
            for run in sorted(runlog.names_in(runlog.folder(self._local))):
                said, self._places[run] = runlog.lines(self._local, run, self._places.get(run, 0))
                for line in said:
                    for step in self._steps(run, line):
                        self._tell(step)

    def _steps(self, run: str, line: Mapping[str, Any]) -> Iterator["Text"]:
        """A model's words come in crumbs, and are told when its answer is whole."""
        if line.get("kind") == "text":
            self._words[run] = self._words.get(run, "") + str(line.get("text", ""))
        elif line.get("kind") == "answer":
            words = self._words.pop(run, "").partition("{")[0].partition("```")[0].strip()
            if words:
                yield _line("", f"“{_short(words)}”", "italic bright_black")
        else:
            yield from step(line)


def step(line: Mapping[str, Any]) -> Iterator["Text"]:
    """One line of a log as people read it, if it says something to them."""
    match line:
        case {"kind": "call", "tool": str(tool), "arguments": str(arguments)}:
            yield _line(tool, _short(_subject(arguments)))
        case {"kind": "result", "tool": "run", "text": str(text)}:
            code, _, output = text.partition("\n")
            good = code == "(exit code 0)"
            yield _line("", _short(f"{code} {_last(output)}"), "green" if good else "red")
        case {"kind": "result", "text": str(text)} if text.startswith("Error:"):
            yield _line("", _short(text), "red")
        case {"kind": "check", "command": command, "code": code}:
            how = ("passes", "green") if code == 0 else ("fails", "red")
            yield _line("check", f"{_short(str(command))}: {how[0]}", how[1])
        case {"kind": "stopped", "why": why}:
            yield _line("", _short(f"Stopped: {why}"), "red")


def _line(tool: str, text: str, style: str = "") -> "Text":
    from rich.text import Text

    return Text.assemble(
        "    ", (f"{context.clean(tool):<8} " if text else context.clean(tool), "cyan"), (text, style)
    )


def _subject(arguments: str) -> str:
    """What a call is about: its path, command or name, as far as a model's arguments can be read."""
    from agentos.runtime import talk
    from agentos.runtime.provider import Call

    given = talk.arguments(Call("", "", arguments)) or {}
    return next((str(given[key]) for key in ("path", "command", "name", "text") if given.get(key)), "")


def _last(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def _short(text: str) -> str:
    """On one line, without what could drive a terminal."""
    line = context.clean(" ".join(text.split()))
    return line if len(line) <= MOST else f"{line[: MOST - 1]}…"
