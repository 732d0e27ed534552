"""How an agent thinks: one module each, and a dict that can be read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.runtime.budget import Meter
from agentos.runtime.outbox import Outbox
from agentos.runtime.prompt import Prompt
from agentos.runtime.runlog import Heard, RunLog
from agentos.runtime.runners import checks, command, llm, replay, simulated
from agentos.runtime.sandbox import Cell, Ended


@dataclass(frozen=True, slots=True)
class Work:
    """What a run is given: the agent, its task, and the board as it stood at the claim."""

    agent: Agent
    task: Task
    board: Board
    is_review: bool
    is_answer: bool = False
    """Whether the agent is to answer what it is asked on the task, and nothing else."""
    run: str = ""
    workspace: Any = None
    sandbox: Any = None
    meter: Meter = field(default_factory=Meter)
    log: RunLog = field(default_factory=RunLog)
    prompt: Prompt = field(default_factory=Prompt)
    env: Mapping[str, str] = field(default_factory=dict)
    """The keys, and the variables that a person listed for this agent; keys never enter the sandbox."""
    stop_at: datetime | None = None
    """The wall limit."""
    body: str = ""
    """The task's text, below its front matter."""
    left: Callable[[], float] = lambda: 3600.0
    """Seconds until the wall limit."""
    committed: Callable[[str], str] = lambda path: ""
    """A file of the board's commit, which nobody's work can have changed; empty where there is none."""

    def cell(self, *, with_network: bool = False) -> Cell:
        """What a command of this run sees: the workspace, and the variables that a person listed."""
        settings = self.agent.agentos
        listed = {name: self.env[name] for name in settings.env if name in self.env}
        network = settings.network if with_network else ()
        return Cell(self.workspace.path, self.workspace.home, self.workspace.reads, listed, network)

    def run_command(
        self,
        argv: Sequence[str],
        *,
        timeout: float = float("inf"),
        stdin: bytes = b"",
        limit: int = 65536,
        with_network: bool = False,
        is_followed: bool = False,
    ) -> Ended:
        """Run a command in the workspace and the sandbox, with the variables that a person listed.

        Its output goes to the run's log, as it comes where that `is_followed`. Raises NotFound where there is
        no such program.
        """
        cell = self.cell(with_network=with_network)
        within = max(1.0, min(timeout, self.left()))
        heard = Heard(self.log) if is_followed else None
        ended: Ended = self.sandbox.run(
            argv, cell, timeout=within, stdin=stdin, limit=limit, on_output=heard.add if heard else None
        )
        if heard:
            heard.end()
        is_told = heard is not None and heard.is_whole
        output = {} if is_told else {"output": ended.output.decode(errors="replace")}
        self.log.write("command", argv=list(argv), code=ended.code, **output)
        return ended


class Runner(Protocol):
    """Thinks about one piece of work, without a lock, and proposes what to do."""

    def __call__(self, work: Work) -> Outbox: ...


RUNNERS: dict[str, Runner] = {
    "checks": checks.run,
    "command": command.run,
    "llm": llm.run,
    "replay": replay.run,
    "simulated": simulated.run,
}
"""Every runner that does tasks; `rules` is the orchestrator's own and runs inside the tick."""
