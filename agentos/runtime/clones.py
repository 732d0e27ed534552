"""The private clone of a task: its `.git` is made anew for every run, its files stay."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agentos.errors import AgentOSError, Invalid
from agentos.runtime import borrowing, liveness, near
from agentos.runtime.near import ALL
from agentos.runtime.sandbox import PATHS, Cell, Limits, Sandbox
from agentos.store.git import Git
from agentos.store.objects import Objects
from agentos.store.repository import Store

TIME = 600.0
"""Seconds that git may take over a working tree."""

PATIENCE = 60.0
"""Seconds for cleaning up; git takes minutes over folders nested a thousand deep, `rm` does not."""

JUNK = (
    "__pycache__/", "*.pyc", ".venv/", "node_modules/", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/",
    ".aider.chat.history.md", ".aider.input.history", ".aider.tags.cache.v*/",
)  # fmt: skip
"""What tools leave behind; never handed in unless git already follows it."""

PLAIN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "http:https",
    "LC_ALL": "C",
    "PATH": PATHS,
}
"""The environment of every git command that looks at an agent's files."""

SPARSE = "[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = false\n"
"""What has git respect that some of what it follows is not there (git-sparse-checkout)."""

_PINNED = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false",
    "-c", "gc.auto=0", "-c", "submodule.recurse=false",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins: the commit its own will follow, and the tree that its files are."""

    branch: str
    base: str
    """The commit of the board's branch that the work is measured against."""
    parent: str
    tree: str
    """A tree or commit; another than the parent's where salvaged work goes on."""
    tip: str = ""
    """Where the branch stands in the person's repository; empty where there is none."""
    near: tuple[str, ...] = ALL
    """The tasks whose records are checked out."""


def make_git(
    folder: Path, store: Store, start: Start | None = None, *, config: str = "", copy: bool = False
) -> None:
    """A git folder that nobody has written to; it borrows the person's objects, or has copies."""
    (folder / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "heads").mkdir(parents=True)
    algorithm = Objects(store.git).algorithm
    version, extension = (1, "[extensions]\n\tobjectFormat = sha256\n") if algorithm == "sha256" else (0, "")
    head = f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = false\n{extension}[gc]\n\tauto = 0\n"
    (folder / "config").write_text(head + config)
    (folder / "HEAD").write_text(f"ref: refs/heads/{start.branch if start else 'none'}\n")
    if copy:
        for source in borrowing.folders(store):
            borrowing.copy(source, folder / "objects")
    else:
        lines = "".join(f"{_quoted(place)}\n" for place in borrowing.folders(store))
        (folder / "objects/info/alternates").write_text(lines, errors="surrogateescape")
    shallow = borrowing.text(store.git.common_dir / "shallow")
    if shallow:
        (folder / "shallow").write_text(shallow, errors="surrogateescape")
    if start:
        refs = {f"refs/heads/{start.branch}": start.parent, f"refs/remotes/origin/{store.branch}": start.base}
        for ref, commit in refs.items():
            (folder / ref).parent.mkdir(parents=True, exist_ok=True)
            (folder / ref).write_text(commit + "\n")


def origin(store: Store) -> str:
    """Configuration that says where the repository comes from: no name or password in the address."""
    url = urlsplit(store.git.text("config", "remote.origin.url", ok=(0, 1)))
    if url.scheme not in ("http", "https") or not re.fullmatch(
        r"[\w.:\[\]-]+", url.netloc.rpartition("@")[2]
    ):
        return ""
    clean = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
    return f'[remote "origin"]\n\turl = {json.dumps(clean)}\n'


def _quoted(place: Path) -> str:
    """A path as `objects/info/alternates` takes it: in quotes where it could be read as something else."""
    text = str(place)
    return json.dumps(text, ensure_ascii=False) if re.match(r'["#]', text) else text


def excludes(patterns: Iterable[str]) -> bytes:
    """`info/exclude`: what tools leave behind, and what the set-up made, git shall not follow."""
    return b"".join(os.fsencode(line) + b"\n" for line in (*JUNK, *patterns))


def write_excludes(folder: Path, patterns: Iterable[str]) -> None:
    """The excludes of a git folder that nobody else has written to."""
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info" / "exclude").write_bytes(excludes(patterns))


def write_sparse(folder: Path, store: Store, names: Sequence[str]) -> None:
    """Let a git folder check out, of the records of tasks, those of these alone."""
    if names != ALL:
        with (folder / "config").open("a") as config:
            config.write(SPARSE)
        lines = near.patterns(store.prefix, names)
        (folder / "info" / "sparse-checkout").write_text(lines, errors="surrogateescape")


def bare(folder: Path, store: Store) -> Git:
    """Our own git for a folder made by `make_git`; no configuration but what stands there is read."""
    return Git(folder, folder, None, {"PATH": store.git.env.get("PATH", PATHS)})


@dataclass(frozen=True, slots=True)
class Inside:
    """Git in the sandbox, on the files of a workspace."""

    sandbox: Sandbox
    cell: Cell

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        limit: int = 1 << 20,
        timeout: float = TIME,
        ok: Sequence[int] = (0,),
    ) -> bytes:
        """What the command prints. Raises AgentOSError where it ends with a code that is not `ok`."""
        ended = self.sandbox.run(
            ["git", *_PINNED, *args], self.cell, timeout=timeout, stdin=stdin, limit=limit
        )
        if ended.code not in ok:
            lines = ended.output.decode(errors="replace").strip().splitlines()
            said = ended.stopped or (lines[-1] if lines else f"exit {ended.code}")
            raise AgentOSError(f"git {args[0]} in {self.cell.workspace}: {said}")
        return ended.output

    def script(self, text: str) -> str:
        """What a shell script prints; its input is in variables. Raises AgentOSError where it fails."""
        ended = self.sandbox.run(["sh", "-c", text], self.cell, timeout=TIME)
        said = ended.output.decode(errors="replace").strip()
        if ended.code != 0:
            why = ended.stopped or said.rpartition("\n")[2] or f"exit {ended.code}"
            raise AgentOSError(f"The files in {self.cell.workspace} can't be taken: {why}")
        return said


def inside(sandbox: Sandbox, store: Store, path: Path, home: Path, more: Mapping[str, str] = {}) -> Inside:
    """Git for the files at `path`, with `home` as the only other place it can write to."""
    reads = borrowing.folders(store) if sandbox.name != "off" else ()
    return Inside(sandbox, Cell(path, home, reads, PLAIN | dict(more), limits=Limits(file=8 << 30)))


@dataclass(frozen=True, slots=True)
class Clone:
    """The clone of one task, where it is to start from, and the sandbox that its files are touched in."""

    store: Store
    path: Path
    start: Start
    sandbox: Sandbox
    email: str
    origin: str = ""
    index: Path | None = None
    """Where git's index is kept between runs: by it, files that are as git left them stay as they are."""

    @property
    def reads(self) -> tuple[Path, ...]:
        """The objects that the clone borrows; without a sandbox it has copies."""
        return borrowing.folders(self.store) if self.sandbox.name != "off" else ()

    def check_out(self, made: Iterable[str], is_fresh: bool) -> bool:
        """The start's files, under a new `.git`; what git doesn't follow stays unless it shall be fresh.

        `made` is what the set-up made. Gives whether everything is new: files that can't be brought in order
        in good time are all removed.
        """
        try:
            self._check_out(made, is_fresh)
        except AgentOSError:
            wipe(self.path)
            self._check_out((), True)
            return True
        return is_fresh

    def _check_out(self, made: Iterable[str], is_fresh: bool) -> None:
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_dir()):
            self.path.unlink()
        if is_fresh:
            wipe(self.path)
        is_new = not self.path.exists()
        self.path.mkdir(exist_ok=True, mode=0o700)
        git = self.path / ".git"
        wipe(git)
        who = f"[user]\n\tname = {self.email.partition('@')[0]}\n\temail = {self.email}\n"
        make_git(git, self.store, self.start, config=self.origin + who, copy=self.sandbox.name == "off")
        write_excludes(git, made)
        write_sparse(git, self.store, self.start.near)
        if self.index is not None and not is_new:
            with suppress(FileNotFoundError):
                shutil.copy2(self.index, git / "index")
        with self.git() as inside:
            inside.run("read-tree", "--reset", "-u", self.start.tree)
            if self.index is not None:
                self.index.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                shutil.copy2(git / "index", self.index)
            if not is_new:
                inside.run("clean", "-ffdq", timeout=PATIENCE)
            if self.start.tree != self.start.parent:
                inside.run("read-tree", "--reset", self.start.parent)

    @contextmanager
    def git(self) -> Iterator[Inside]:
        """Git inside, with the clone's own folder."""
        with box(self.store) as home:
            yield inside(self.sandbox, self.store, self.path, home, {"GIT_DIR": str(self.path / ".git")})

    def restore(self, made: Sequence[str]) -> None:
        """Put back the files that git follows, and follow nothing of what was made since `check_out`."""
        with self.git() as inside:
            cell, lines = inside.cell, excludes(made)
            self.sandbox.run(["tee", ".git/info/exclude"], cell, timeout=TIME, stdin=lines, limit=1)
            inside.run("read-tree", "--reset", "-u", self.start.tree)
            if self.start.tree != self.start.parent:
                inside.run("read-tree", "--reset", self.start.parent)


@contextmanager
def box(store: Store) -> Iterator[Path]:
    """A folder for one piece of work, gone afterwards whatever was put into it."""
    place = _boxes(store)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix=f"{liveness.name()}-", dir=place))
    try:
        yield folder
    finally:
        wipe(folder)


def _boxes(store: Store) -> Path:
    return store.local / "handing"


def sweep(store: Store) -> None:
    """Remove the boxes of processes that were killed."""
    with suppress(FileNotFoundError):
        for name in os.listdir(_boxes(store)):
            if liveness.is_over(name.partition("-")[0]):
                wipe(_boxes(store) / name)


def wipe(path: Path) -> None:
    """Remove a folder, whatever is in it: no name, mode, link or depth stops it, and no link is followed."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
        return
    with suppress(OSError):
        path.rmdir()
    remove = ["rm", "-rf", "--", str(path)]
    for line in (remove, ["chmod", "-R", "u+rwx", "--", str(path)], remove):
        if path.exists():
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(line, check=False, capture_output=True, env={"PATH": PATHS}, timeout=TIME)
    if path.exists():
        raise Invalid(f"{path} can't be removed; remove it by hand and try again.")
