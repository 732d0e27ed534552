"""The command runner: an external coding agent as a command line, in the workspace and the sandbox."""

from typing import TYPE_CHECKING

from agentos.runtime.failures import Failed, MissingTool, TimedOut
from agentos.runtime.outbox import Action, Approve, Outbox, SendBack, Submit

if TYPE_CHECKING:
    from agentos.runtime.runners import Work

MOST_OUTPUT, MOST_SAID = 1 << 20, 4000
"""Bytes of its output that are looked at, and characters of it that are passed on."""

APPROVE, SEND_BACK = "APPROVE", "SEND BACK"

_REVIEW = f"""
End with one line of its own: `{APPROVE}`, or `{SEND_BACK}: ` and what is wrong."""


def run(work: "Work") -> Outbox:
    """Run the agent's `command`, the prompt on its standard input; what it leaves in the files is its work.

    In a review its last line is the verdict. Raises MissingTool without a command, TimedOut and Failed.
    """
    command = work.agent.agentos.command
    if not command:
        raise MissingTool(f"agents/{work.agent.name}.md has the runner `command` and no `command:`.")
    told = work.prompt.text() + (_REVIEW if work.is_review else "")
    ended = work.run_command(command, stdin=told.encode(), limit=MOST_OUTPUT, with_network=True)
    said = ended.output.decode(errors="replace").strip()
    if ended.code is None:
        raise TimedOut(f"{command[0]} was stopped after {ended.seconds:.0f} s.")
    if ended.code != 0:
        raise Failed(f"{command[0]} left with {ended.code}: {said[-500:] or 'it said nothing'}")
    return Outbox((_verdict(said) if work.is_review else Submit(said[-MOST_SAID:]),))


def _verdict(said: str) -> Action:
    """What the last line says. Raises Failed where that is neither the one nor the other."""
    last = said.rpartition("\n")[2].strip().strip("`*")
    if last == APPROVE:
        return Approve(said[-MOST_SAID:])
    if last.startswith(SEND_BACK):
        return SendBack(said[-MOST_SAID:])
    raise Failed(f"The review ended without a verdict: {last[:200]!r}")
