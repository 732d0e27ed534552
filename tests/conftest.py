"""Real repositories for the tests: made once, copied for each."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentos.actions import setup
from agentos.cli import context, main
from agentos.model.activity import Actor
from agentos.store import clone
from agentos.store.draft import Draft
from agentos.store.repository import Store
from agentos.store.transaction import Result, transact

START = datetime(2026, 2, 2, 10, 30, tzinfo=UTC)

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that starts the suite with `&` has it ignored, and so would every process that a test interrupts."""


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@contextmanager
def running(line: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone when the block is, so that a test which fails in it does not wait for ever."""
    with subprocess.Popen(line, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass
class Scratch:
    """A board in a repository of its own, with what a test wants to do to it."""

    root: Path
    clock: Clock

    @property
    def store(self) -> Store:
        return Store.open(self.root, os.environ, self.clock)

    def git(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(["git", *args], cwd=self.root, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"git {args}: {done.stderr}")
        return done.stdout

    def act(self, decide: Callable[[Draft], Any], by: Actor | None = None) -> Result[Any]:
        store = self.store
        return transact(store, decide, by or store.person())

    def write(self, path: str, text: str | bytes) -> Path:
        """A person's save: in place, and long enough ago to be settled."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def read(self, path: str) -> str:
        return (self.root / path).read_bytes().decode()


def _environment(home: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("GIT_", "AGENTOS_"))]:
        del os.environ[name]
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text("[user]\n name = Ada Lovelace\n email = ada@example.com\n")
    os.environ["HOME"] = str(home)
    os.environ["NO_COLOR"] = "1"
    os.environ["COLUMNS"] = "120"


def make_template(base: Path) -> Path:
    """A repository below `base` with a core team of simulated agents, on the fixed clock."""
    _environment(base / "home")
    root = base / "repo"
    store, _ = clone.set_up(root, os.environ, Clock(), None)
    transact(
        store,
        lambda draft: setup.init(draft, store.branch, "core", "simulated", lambda path: None),
        store.person(),
        subject="agentos init: a board",
    )
    return root


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a core team of simulated agents, made once."""
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def scratch(template: Path, tmp_path: Path) -> Scratch:
    """A copy of the template."""
    root = tmp_path / "repo"
    shutil.copytree(template, root, symlinks=True)
    return Scratch(root, Clock())


@dataclass
class Outcome:
    """What a command printed, and how it left."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """The command line, in this process, started in the scratch repository."""
    monkeypatch.setattr(context, "now", scratch.clock)

    def run(*args: str, cwd: Path | None = None) -> Outcome:
        return invoke(args, cwd or scratch.root, monkeypatch, capsys)

    yield run


def invoke(
    args: Sequence[str], cwd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Outcome:
    monkeypatch.chdir(cwd)
    monkeypatch.setattr("sys.argv", ["agentos", *args])
    context.SESSION.quiet = context.SESSION.no_input = False
    capsys.readouterr()
    code = 0
    try:
        main.run()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    said = capsys.readouterr()
    return Outcome(code, said.out, said.err)


def pytest_sessionfinish() -> None:
    """Close the event loop that litellm opens when it is imported, and never closes."""
    if "litellm" in sys.modules:
        asyncio.get_event_loop().close()
