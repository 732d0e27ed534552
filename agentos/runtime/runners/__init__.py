"""How an agent thinks: one module each, and a dict that can be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.runtime.budget import Meter
from agentos.runtime.outbox import Outbox
from agentos.runtime.runlog import RunLog
from agentos.runtime.runners import simulated


@dataclass(frozen=True, slots=True)
class Work:
    """What a run is given: the agent, its task, and the board as it stood at the claim."""

    agent: Agent
    task: Task
    board: Board
    is_review: bool
    run: str = ""
    workspace: Any = None
    sandbox: Any = None
    meter: Meter = field(default_factory=Meter)
    log: RunLog = field(default_factory=RunLog)
    prompt: Any = None
    env: Mapping[str, str] = field(default_factory=dict)
    """The keys, and the variables that a person listed for this agent; keys never enter the sandbox."""
    stop_at: datetime | None = None
    """The wall limit."""


class Runner(Protocol):
    """Thinks about one piece of work, without a lock, and proposes what to do."""

    def __call__(self, work: Work) -> Outbox: ...


RUNNERS: dict[str, Runner] = {"simulated": simulated.run}
"""Every runner that does tasks; `rules` is the orchestrator's own and runs inside the tick."""
