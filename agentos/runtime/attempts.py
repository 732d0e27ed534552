"""Attempts: what follows when a run fails, from the earlier ones that history has; nothing here waits."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agentos.store.runs import REJECTED, Run

FIRST, LONGEST, SPREAD = 30.0, 1800.0, 0.25
"""Seconds before the second try, doubled for each one after it; the most; and the part by which it varies."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How often a kind of failure is tried in all, whether the tries wait, and what a person is asked for."""

    tries: int
    waits: bool
    wanted: str


RULES: dict[str, Rule] = {
    "rate-limit": Rule(4, True, "the provider keeps refusing; wait, or raise its limits"),
    "provider": Rule(4, True, "the provider can't be reached; look at its status and at the network"),
    "lost": Rule(2, False, "its process died twice; see `agentos runs list`"),
    "time": Rule(
        2, False, "it does not come to an end in time; make the task smaller, or raise `run_limit:`"
    ),
    "checks": Rule(3, False, "it does not pass; say how, or do it by hand"),
    "key": Rule(1, False, "a key is missing or refused"),
    "tool": Rule(1, False, "something that the run needs is missing"),
    "budget": Rule(1, False, "the budget is used up; raise it, or cancel the task"),
    "same": Rule(1, False, "the same change was handed in twice; say what is wrong with it"),
    "failed": Rule(2, True, "it failed twice"),
}
"""DESIGN.md, section 4, "Failure"; `failed` is anything that has no rule of its own."""


@dataclass(frozen=True, slots=True)
class Next:
    """What follows a failure: another try from a moment on, or why the task is blocked, or nothing."""

    at: datetime | None = None
    blocked: str = ""


def next_of(
    kind: str, said: str, after: float | None, history: Sequence[Run], now: datetime, run: str
) -> Next:
    """What follows a failure of this kind; `said` is its message, `after` the seconds its hint wants."""
    rule = RULES.get(kind, RULES["failed"])
    number = tries(kind, history) + 1
    if kind == "cancel":
        return Next()
    if kind == "budget" and after is not None:
        return Next(at=now + timedelta(seconds=after))
    if number >= rule.tries:
        return Next(blocked=f"{rule.wanted}: {said}" if said else rule.wanted)
    return Next(at=now + delay(number, after, run) if rule.waits or after is not None else now)


def tries(kind: str, history: Sequence[Run]) -> int:
    """How many runs failed in this way since the last success or word of a person, from newest to oldest.

    Work that does not pass its checks is handed in before, so for it only a person's word counts anew.
    """
    count = 0
    for run in history:
        if not run.run and not run.agent:
            break
        if run.run and not run.failure and kind != "checks":
            break
        count += run.failure == kind
    return count


def handed_in(history: Sequence[Run]) -> set[str]:
    """The differences that were handed in since the last word of a person; to send back is none."""
    found = set()
    for run in history:
        if not run.run and not run.agent and run.verdict != REJECTED:
            break
        found.add(run.diff)
    return found - {""}


def is_reviewed(agent: str, history: Sequence[Run]) -> bool:
    """Whether this agent has given its verdict, and nothing else has happened to it since but runs
    that handed nothing in."""
    for run in history:
        if run.verdict and run.agent == agent:
            return True
        if (run.commit and not run.verdict) or not run.run:
            return False
    return False


def delay(number: int, after: float | None, run: str) -> timedelta:
    """How long to wait after the `number`-th try: as the hint says, else 30 s · 2ⁿ ± 25 %, at most 30 min."""
    if after is not None:
        return timedelta(seconds=max(0.0, after))
    chance = random.Random(run).uniform(1 - SPREAD, 1 + SPREAD)
    return timedelta(seconds=min(LONGEST, FIRST * 2 ** (number - 1) * chance))


def resting(history: Sequence[Run], now: datetime) -> datetime | None:
    """Until when a task rests after its last failure; None where it may be tried now."""
    for run in history:
        if run.run or not run.agent:
            return run.retry_at if run.retry_at and run.retry_at > now else None
    return None
