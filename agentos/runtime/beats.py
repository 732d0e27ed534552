"""Beats: what one heartbeat came to, as the tick hears of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Beat:
    """What one heartbeat came to: `settled` with its commit, `passed` (nothing was to be done), or `failed`.

    `again` is when the agent should be woken for this task next, where that is before its next heartbeat;
    `is_blocked` says that the task waits for a person instead.
    """

    agent: str
    task: str
    outcome: str
    run: str = ""
    commit: str | None = None
    text: str = ""
    again: str = ""
    is_blocked: bool = False
