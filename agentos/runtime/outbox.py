"""The outbox: the typed actions that a run proposes; the runtime checks and applies them at settle."""

from dataclasses import dataclass

from agentos.actions import messages, tasks
from agentos.model.rules import SIMULATED
from agentos.model.words import Status
from agentos.store.draft import Draft


@dataclass(frozen=True, slots=True)
class Comment:
    """Say something about the task."""

    text: str
    type: str = "comment"


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand the work in for review."""

    is_simulated: bool = False


@dataclass(frozen=True, slots=True)
class Approve:
    """Pass somebody else's work."""

    is_simulated: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Stop the task, with what is wanted from whom."""

    reason: str


Action = Comment | Submit | Approve | Block


@dataclass(frozen=True, slots=True)
class Outbox:
    """What one run proposes for its task, in order."""

    actions: tuple[Action, ...] = ()

    @property
    def is_simulated(self) -> bool:
        return any(getattr(action, "is_simulated", False) for action in self.actions)


def apply(draft: Draft, task: str, outbox: Outbox) -> None:
    """Apply every action to an open draft, as its actor. Raises Refused for a step that a rule forbids."""
    for action in outbox.actions:
        match action:
            case Comment(text, kind):
                messages.add(draft, task, text, type=kind)
            case Block(reason):
                tasks.block(draft, task, reason)
            case Submit(is_simulated):
                tasks.move(draft, task, Status.REVIEW)
                _mark(draft, task, is_simulated)
            case Approve(is_simulated):
                tasks.move(draft, task, Status.DONE)
                _mark(draft, task, is_simulated)


def _mark(draft: Draft, task: str, is_simulated: bool) -> None:
    """Work that was only simulated carries the label, so that the board says so."""
    if is_simulated:
        tasks.edit(draft, task, {}, add_to={"labels": [SIMULATED]})
