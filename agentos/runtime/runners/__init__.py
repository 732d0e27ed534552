"""How an agent thinks: one module each, and a dict that can be read."""

from dataclasses import dataclass
from typing import Protocol

from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.runtime.outbox import Outbox
from agentos.runtime.runners import simulated


@dataclass(frozen=True, slots=True)
class Work:
    """What a run is given: the agent, its task, and the board as it stood at the claim."""

    agent: Agent
    task: Task
    board: Board
    is_review: bool


class Runner(Protocol):
    """Thinks about one piece of work, without a lock, and proposes what to do."""

    def __call__(self, work: Work) -> Outbox: ...


RUNNERS: dict[str, Runner] = {"simulated": simulated.run}
"""Every runner that does tasks; `rules` is the orchestrator's own and runs inside the tick."""
