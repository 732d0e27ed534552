"""The sandbox: where the commands of agents run, and what they see there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agentos.errors import Refused
from agentos.model import rules
from agentos.model.board import Board
from agentos.runtime import processes
from agentos.runtime.processes import Ended as Ended

PATHS = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command, with everything it starts, may use; in bytes and numbers."""

    disk: int = 8 << 30
    """What the files of workspace and home may come to."""
    files: int = 1_000_000
    file: int = 2 << 30
    """The size of a single file."""
    memory: int = 4 << 30
    processes: int = 512


@dataclass(frozen=True, slots=True)
class Cell:
    """What a sandboxed process sees.

    The workspace is writable and the working directory. `reads` are mounted read-only besides the minimal
    root; `env` is all of the environment besides PATH, HOME, LANG and TMPDIR; `network` lists `host[:port]`.
    """

    workspace: Path
    home: Path
    reads: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    network: tuple[str, ...] = ()
    limits: Limits = Limits()

    def environment(self) -> dict[str, str]:
        """The variables that the process gets; what the workspace has installed comes first on its PATH."""
        own = [self.workspace / ".venv/bin", self.workspace / "node_modules/.bin"]
        path = ":".join([*(str(place) for place in own if place.is_dir()), PATHS])
        base = {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "TMPDIR": "/tmp"}
        return base | dict(self.env)


class Sandbox(Protocol):
    """A way to run a command so that it reaches no more than its cell."""

    name: str

    def run(
        self,
        argv: Sequence[str],
        cell: Cell,
        *,
        timeout: float,
        stdin: bytes = b"",
        limit: int = 65536,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Ended: ...


class Off:
    """No sandbox: commands run with the rights of whoever runs AgentOS, in a scrubbed environment.

    Only time and output are limited; network, files, processes that detach themselves and their use are not.
    """

    name = "off"

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
        """Run a command in the workspace. Raises NotFound where there is no such program."""
        env = cell.environment()
        process = processes.start(argv, env, cell.workspace)
        return processes.attend(process, timeout=timeout, stdin=stdin, limit=limit, on_output=on_output)


def find(setting: str) -> Sandbox:
    """The sandbox that the config's `sandbox:` asks for: bubblewrap, or none where a person wrote `off`.

    Raises Refused, with what to do, where bubblewrap can't run here.
    """
    if setting == "off":
        return Off()
    from agentos.runtime import bubblewrap

    why = bubblewrap.hindrance()
    if why:
        raise Refused(
            f"Agents may run no commands here: {why} A person can allow them without a sandbox by "
            "`sandbox: off` in board/config.yml, which every run then records."
        )
    return bubblewrap.Bubblewrap()


def notes(board: Board) -> tuple[str, ...]:
    """For `doctor`: which sandbox there is, or why there is none; nothing where no agent runs commands."""
    if not any(rules.runs_commands(agent) for agent in board.agents.values()):
        return ()
    try:
        found = find(board.config.sandbox)
    except Refused as why:
        return (str(why),)
    off = ", as board/config.yml says: commands of agents run with the rights of the tick"
    return (f"Sandbox: {found.name}{off if found.name == 'off' else ''}.",)
