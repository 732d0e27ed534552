"""Run logs: what one run did, in `<local>/runs/<run id>/`; kept for a while, never needed."""

import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agentos.model import times
from agentos.runtime import secrets

Clock = Callable[[], datetime]

KEPT, AGE = 500, timedelta(days=30)
"""A run's log is gone when it is older than this, or so many newer ones are there."""

MOST_LOG, MOST_REPLIES, MOST_TEXT = 8 << 20, 32 << 20, 64 << 10
"""Bytes of `log.jsonl` and of `replies.jsonl`, and characters of one text in the log."""


class RunLog:
    """Where a run writes down what happens; secrets are redacted, and what is too much is cut and said so.

    Without a folder it keeps nothing, nor where it can't be written: a run is not to fail for its log, whose
    folder people may remove at any time. Threads may share it.
    """

    def __init__(
        self, folder: Path | None = None, clock: Clock | None = None, known: Iterable[str] = ()
    ) -> None:
        self.folder = folder
        self.known = tuple(known)
        self._clock = clock
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._facts: dict[str, Any] = {}
        if folder is not None:
            self._facts = _facts(folder)

    def write(self, kind: str, **fields: Any) -> None:
        """One line in `log.jsonl`."""
        moment = {"at": times.stamp(self._clock())} if self._clock else {}
        self._append("log.jsonl", moment | {"kind": kind} | fields, MOST_LOG, MOST_TEXT)

    def reply(self, data: Mapping[str, Any]) -> None:
        """One recorded answer, for the runner `replay`."""
        self._append("replies.jsonl", dict(data), MOST_REPLIES, MOST_REPLIES)

    def say(self, **facts: Any) -> None:
        """Facts about the whole run, in `run.json`: agent, task, runner, model, start, end, outcome."""
        if self.folder is None:
            return
        with self._lock, suppress(OSError):
            self._facts |= self._redacted(facts, MOST_TEXT)
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.folder / f"run.json.{os.getpid()}"
            partial.write_text(json.dumps(self._facts, indent=1, ensure_ascii=False, default=str))
            partial.replace(self.folder / "run.json")

    def _append(self, name: str, data: dict[str, Any], most: int, most_text: int) -> None:
        if self.folder is None:
            return
        line = json.dumps(self._redacted(data, most_text), default=str) + "\n"
        file = self.folder / name
        with self._lock, suppress(OSError):
            size = self._sizes[name] if name in self._sizes else _size(file)
            if size > most:
                return
            self._sizes[name] = size + len(line)
            if size + len(line) > most:
                line = json.dumps({"kind": "cut", "why": f"{name} has reached {most:,} bytes"}) + "\n"
                self._sizes[name] = most + 1
            self.folder.mkdir(parents=True, exist_ok=True)
            with file.open("a") as out:
                out.write(line)

    def _redacted(self, value: Any, most: int) -> Any:
        if isinstance(value, str):
            return cut(secrets.redact(value, self.known), most)
        if isinstance(value, Mapping):
            return {str(key): self._redacted(inner, most) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._redacted(inner, most) for inner in value]
        return value


class Heard:
    """What a command prints, written down in whole lines as it comes.

    Of too much, and where a secret of several lines could come in two parts, `is_whole` is False at the end,
    and the whole output is to be written down then.
    """

    def __init__(self, log: RunLog) -> None:
        self.is_whole = not any("\n" in value for value in log.known)
        self._log = log
        self._size = 0
        self._left = b""

    def add(self, data: bytes) -> None:
        """The next piece of output."""
        self._size += len(data)
        self.is_whole = self.is_whole and self._size <= MOST_TEXT
        if not self.is_whole:
            return
        self._left += data
        begun = _OPEN_KEY.search(self._left)
        size = self._left.rfind(b"\n", 0, begun.start() if begun else None) + 1
        if not secrets.is_begun(self._left[:size].decode(errors="replace"), self._log.known):
            self._say(size)

    def end(self) -> None:
        """There is no more: what is no whole line is written down too."""
        if self.is_whole:
            self._say(len(self._left))

    def _say(self, size: int) -> None:
        said, self._left = self._left[:size], self._left[size:]
        if said:
            self._log.write("output", said=said.decode(errors="replace").removesuffix("\n"))


_OPEN_KEY = re.compile(rb"-----BEGIN(?!.*-----END[^\n]*\n)", re.DOTALL)
"""A private key of which there is more to come: it is redacted as a whole."""


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def cut(text: str, most: int) -> str:
    """A text of at most about `most` characters: its two ends, with a note of what is missing between."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def folder(local: Path) -> Path:
    """Where a clone keeps the logs of its runs."""
    return local / "runs"


def prune(local: Path, now: datetime) -> None:
    """Remove the logs of runs that are too old or too many; what can't be removed is left."""
    names = sorted(names_in(folder(local)), reverse=True)
    oldest = times.compact((now - AGE).astimezone(UTC))
    for i, name in enumerate(names):
        if i >= KEPT or name < oldest:
            shutil.rmtree(folder(local) / name, ignore_errors=True)


def names_in(runs: Path) -> Iterator[str]:
    """The runs that have a log, in no order."""
    with suppress(OSError):
        yield from (entry.name for entry in runs.iterdir() if entry.is_dir())


def facts(local: Path, run: str) -> dict[str, Any]:
    """What `run.json` says; empty where it can't be read."""
    return _facts(folder(local) / run)


def lines(local: Path, run: str, start: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The whole lines of a run's log from a place in the file on, and the place after them."""
    try:
        with (folder(local) / run / "log.jsonl").open("rb") as file:
            file.seek(start)
            data = file.read()
    except OSError:
        return [], start
    whole = data[: data.rfind(b"\n") + 1]
    return [_line(line) for line in whole.splitlines()], start + len(whole)


def replies(local: Path, run: str) -> list[dict[str, Any]]:
    """The recorded answers of a run, in order."""
    try:
        return [_line(line) for line in (folder(local) / run / "replies.jsonl").read_bytes().splitlines()]
    except OSError:
        return []


def _line(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"kind": "unreadable"}


def _facts(run: Path) -> dict[str, Any]:
    try:
        found = json.loads((run / "run.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
