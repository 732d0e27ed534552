"""The simulated runner: does no work, takes no time, and says so; for demonstrations and load tests."""

from typing import TYPE_CHECKING

from agentos.runtime.outbox import Approve, Outbox, Submit

if TYPE_CHECKING:
    from agentos.runtime.runners import Work


def run(work: "Work") -> Outbox:
    """Hand the task in, or pass it, as if something had been done."""
    return Outbox((Approve() if work.is_review else Submit(),), is_simulated=True)
