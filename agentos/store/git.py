"""The door to git: commands as lists, in a scrubbed environment, with hooks and prompts off.

GitPython is used where a repository is set up (`agentos.store.clone`); everything else needs one process a
question, which is plain git through this module (docs/decisions/0002-git-door.md has the measurements).
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agentos.errors import AgentOSError, Invalid, NotFound

TIMEOUT = 120.0
"""Seconds that any one git command may take."""

NETWORK_TIMEOUT = 60.0
"""Seconds that a command may take that talks to a remote."""

PATIENCE, PAUSE = 2.0, 0.01
"""Seconds for which a command is tried again that met a worktree half made, and between two tries."""

_HALF_MADE = rb"(?m)^fatal: failed to read .*/worktrees/[^/]+/commondir: "
"""What git says, before it does anything, while a `git worktree add` is at work (seen with 2.39)."""

ZERO = "0" * 40

_PINNED = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.fsync=reference,pack,pack-metadata,commit-graph",
    "-c", "core.filesRefLockTimeout=1000",
    "-c", "core.quotePath=false",
    "-c", "core.pager=cat",
    "-c", "gc.auto=0",
)  # fmt: skip
_NETWORK = (
    "-c", "protocol.ext.allow=never",
    "-c", "push.followTags=false",
    "-c", "push.gpgSign=false",
    "-c", "submodule.recurse=false",
    "-c", "maintenance.auto=false",
    "-c", "fetch.writeCommitGraph=false",
)  # fmt: skip
_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "SYSTEMROOT", "USER", "LOGNAME")
_KEPT_FOR_NETWORK = (
    "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
    "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip


class GitFailed(AgentOSError):
    """Git said no; the message has its last line."""

    def __init__(self, args: tuple[str, ...], code: int, stderr: str) -> None:
        lines = [line for line in stderr.strip().splitlines() if line]
        said = lines[-1].removeprefix("fatal: ").removeprefix("error: ") if lines else _left(code)
        super().__init__(f"git {args[0]}: {said}")
        self.code = code
        self.stderr = stderr


def _missing(error: OSError) -> str:
    """What was not there when git was to be started: git itself, or the folder to start it in."""
    if error.filename == "git":
        return "git is not installed, or not on PATH."
    return f"{error.filename} is gone, or no folder any more; somebody removed it just now."


def _left(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"was killed (signal {-code})"


class TookTooLong(AgentOSError):
    """A git command was stopped because it did not end."""


class Answer(NamedTuple):
    """What a command that talked to a remote left: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Git:
    """Git for one repository: its own folder, the one shared by all worktrees, and a work tree or none."""

    git_dir: Path
    common_dir: Path
    work_tree: Path | None
    env: Mapping[str, str]
    """The caller's environment; only what git needs of it is passed on."""
    held: tuple[int, ...] = ()
    """Descriptors of locks that are not free before every git started from here is gone."""

    def run(
        self,
        *args: str,
        stdin: bytes | None = None,
        ok: tuple[int, ...] = (0,),
        extra: Mapping[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> bytes:
        """What the command prints. Raises GitFailed on a code not in `ok`, AgentOSError on a time-out."""
        until = time.monotonic() + PATIENCE
        while True:
            done = self._once(args, stdin, extra, pass_fds)
            if done.returncode in ok:
                return done.stdout
            if not re.search(_HALF_MADE, done.stderr) or time.monotonic() > until:
                raise GitFailed(args, done.returncode, done.stderr.decode(errors="replace"))
            time.sleep(PAUSE)

    def _once(
        self,
        args: tuple[str, ...],
        stdin: bytes | None,
        extra: Mapping[str, str] | None,
        pass_fds: tuple[int, ...],
    ) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                ["git", *_PINNED, *args],
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                env=self.environment() | dict(extra or {}),
                cwd=self.work_tree or self.common_dir,
                timeout=TIMEOUT,
                check=False,
                pass_fds=(*self.held, *pass_fds),
            )
        except subprocess.TimeoutExpired:
            raise TookTooLong(f"git {args[0]} took longer than {TIMEOUT:.0f} s and was stopped.") from None
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(_missing(error)) from None

    def text(self, *args: str, ok: tuple[int, ...] = (0,)) -> str:
        """What the command prints, decoded and without the last line end."""
        return self.run(*args, ok=ok).decode(errors="surrogateescape").rstrip("\n")

    def talk(self, *args: str, timeout: float = NETWORK_TIMEOUT) -> Answer:
        """Run a command that talks to a remote; it asks for nothing and runs no helper that a URL names.

        Raises TookTooLong: git and whatever it started are gone then.
        """
        ssh = self.text("config", "core.sshCommand", ok=(0, 1)) or "ssh"
        asks_nothing = {"GIT_ASKPASS": "", "SSH_ASKPASS": "", "GIT_SSH_COMMAND": f"{ssh} -o BatchMode=yes"}
        process = subprocess.Popen(
            ["git", *_PINNED, *_NETWORK, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment() | self.plain_environment(with_network=True) | asks_nothing,
            cwd=self.work_tree or self.common_dir,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TookTooLong(f"no answer within {timeout:.0f} s") from None
            raise
        return Answer(process.returncode, os.fsdecode(out), err.decode(errors="replace"))

    def start(self, *args: str) -> "subprocess.Popen[bytes]":
        """A standing process to talk to, such as `cat-file --batch`."""
        return subprocess.Popen(
            ["git", *_PINNED, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment(),
            cwd=self.work_tree or self.common_dir,
            pass_fds=self.held,
        )

    def plain_environment(self, *, with_network: bool = False) -> dict[str, str]:
        """What a child of ours gets of the caller's environment: no keys, no `GIT_*`.

        With `with_network`, also the way to a remote: proxies, certificates, the ssh agent.
        """
        names = (*_KEPT, *(_KEPT_FOR_NETWORK if with_network else ()))
        return {name: self.env[name] for name in names if name in self.env}

    def environment(self) -> dict[str, str]:
        """The environment git runs in: this repository pinned, every other `GIT_*` gone."""
        kept = self.plain_environment()
        pinned = {
            "GIT_DIR": str(self.git_dir),
            "GIT_COMMON_DIR": str(self.common_dir),
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }
        if self.work_tree:
            pinned["GIT_WORK_TREE"] = str(self.work_tree)
        return kept | pinned

    def at(self, work_tree: Path) -> "Git":
        """Git for another worktree of the same repository."""
        git_dir, common_dir = _folders(work_tree, self.env)
        return Git(git_dir, common_dir, work_tree, self.env, self.held)

    def commit_of(self, revision: str, otherwise: str = ".") -> str:
        """The commit that a revision means. Raises NotFound, which says what else it could have been."""
        spec = f"{revision}^{{commit}}"
        found = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", spec, ok=(0, 1, 128))
        if not found:
            raise NotFound(f"No commit {revision!r} here; give one of `agentos log`{otherwise}")
        return found.decode().strip()


def find(start: Path, env: Mapping[str, str]) -> Git:
    """Git for the repository around `start`. Raises NotFound where there is none, Invalid for a bare one."""
    start = Path(os.path.abspath(start))
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            git_dir, common_dir = _folders(folder, env)
            if _is_bare(common_dir) and git_dir == common_dir:
                raise Invalid(f"{folder} is a bare repository; AgentOS needs one with a working tree.")
            return Git(git_dir, common_dir, folder, env)
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir():
            raise Invalid(f"{folder} is a bare repository; AgentOS needs one with a working tree.")
    raise NotFound(f"{start} is not in a git repository. `agentos init` makes one.")


def _is_bare(common_dir: Path) -> bool:
    try:
        text = (common_dir / "config").read_text(errors="replace")
    except OSError:
        return False
    return re.search(r"(?im)^\s*bare\s*=\s*true\s*$", text) is not None


def _folders(top: Path, env: Mapping[str, str]) -> tuple[Path, Path]:
    """The git folder and the shared one of the worktree at `top`."""
    dot = top / ".git"
    if dot.is_dir() and (dot / "HEAD").is_file():
        return dot, dot
    clean = {name: env[name] for name in _KEPT if name in env} | {"LC_ALL": "C"}
    alone = {"GIT_CEILING_DIRECTORIES": str(top.parent)}  # never another repository around a removed one
    try:
        done = subprocess.run(
            ["git", *_PINNED, "rev-parse", "--absolute-git-dir", "--git-common-dir"],
            capture_output=True, text=True, cwd=top, env=clean | alone, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(_missing(error)) from None
    if done.returncode:
        raise GitFailed(("rev-parse",), done.returncode, done.stderr)
    git_dir, common = done.stdout.splitlines()
    return Path(git_dir), Path(os.path.normpath(top / common))
