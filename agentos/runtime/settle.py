"""Settling: the outbox of a run applied to an open draft, as far as the rules let it."""

from agentos.actions import messages, tasks
from agentos.errors import Refused
from agentos.model.rules import SIMULATED
from agentos.model.words import Status
from agentos.runtime import outbox as o
from agentos.runtime.outbox import Outbox
from agentos.store.draft import Draft


def apply(draft: Draft, task: str, outbox: Outbox) -> None:
    """Apply every action to an open draft, as its actor. Raises Refused for a step that a rule forbids."""
    for action in outbox.actions:
        _apply(draft, task, action)
    if outbox.is_simulated:
        tasks.edit(draft, task, {}, add_to={"labels": [SIMULATED]})


def _apply(draft: Draft, task: str, action: o.Action) -> None:
    match action:
        case o.Comment(text, _, kind):
            messages.add(draft, task, text, type=kind)
        case o.Block(reason):
            tasks.block(draft, task, reason)
        case o.Submit():
            tasks.move(draft, task, Status.REVIEW)
        case o.Approve():
            tasks.move(draft, task, Status.DONE)
        case _:
            raise Refused(f"{type(action).__name__} can't be applied yet.")
