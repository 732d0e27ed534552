"""Budgets: caps in USD and tokens per run, task, agent and day; checked before every call of a model."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from agentos.model import times
from agentos.model.board import Board
from agentos.model.records import Agent, Budget
from agentos.runtime.failures import Capped
from agentos.runtime.ledger import Entry, Ledger, merged

NEAR = 0.8
"""The part of a cap at which people are told."""


MOST_TOKENS, MOST_USD = 10**12, 1e9
"""Figures of one call, or of one command, that are beyond belief."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls of a model took. `usd` is None where nobody knows the price."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        known = [usd for usd in (self.usd, other.usd) if usd is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(known) if known else None,
        )


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so much (`usd` or `tokens`) for the runs it is about; what is None is not asked for."""

    name: str
    most: float
    run: str | None = None
    agent: str | None = None
    task: str | None = None
    day: str | None = None

    @property
    def unit(self) -> str:
        return self.name.partition("_")[0]

    def covers(self, entry: Entry) -> bool:
        """Whether a run counts against this cap."""
        asked = (
            (self.run, entry.run),
            (self.agent, entry.agent),
            (self.task, entry.task),
            (self.day, entry.day),
        )
        return all(wanted in (None, has) for wanted, has in asked)

    def spent(self, entries: Iterable[Entry]) -> float:
        return sum(entry.spent(self.unit) for entry in entries if self.covers(entry))

    def __str__(self) -> str:
        whose = f"of {self.agent}" if self.agent else "of the board"
        return f"{self.name} {whose} ({amount(self.most, self.unit)})"


def amount(value: float, unit: str) -> str:
    """`$0.50` or `12,000 tokens`; a part of a cent as far as it counts."""
    if unit == "tokens":
        return f"{value:,.0f} tokens"
    return f"${value:.2f}" if value >= 0.01 or not value else f"${value:.6f}".rstrip("0")


def figure(value: Any, most: float) -> float | None:
    """What somebody says that it took, as a number; None for what is none, or is beyond belief.

    With a figure below nothing, or one that is no number, no cap would ever be reached.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number <= most else None


def caps(board: Board, agent: Agent, task: str, run: str, now: datetime) -> list[Cap]:
    """Every cap that a run of this agent on this task has to keep, the board's own included."""
    found = []
    for budget, whose in ((agent.agentos.budget, agent.name), (board.config.budget, None)):
        for unit in ("usd", "tokens"):
            scopes = {"run": {"run": run}, "task": {"task": task}, "day": {"day": _day(now)}}
            for per, scope in scopes.items():
                most = _most(budget, f"{unit}_per_{per}")
                if most is not None:
                    found.append(Cap(f"{unit}_per_{per}", most, agent=whose, **scope))
    return found


def _most(budget: Budget, name: str) -> float | None:
    most: float | None = getattr(budget, name)
    return most


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()


class Meter:
    """Counts what a run takes, and stops it at the first cap that is reached.

    `settled` are the runs that history has. Runs side by side see each other's calls in the ledger, so that
    together they pass a cap by at most one call each. `price` is USD per million tokens, for models whose
    price nobody knows. Without caps and a ledger it only counts.
    """

    def __init__(
        self,
        entry: Entry | None = None,
        caps: Sequence[Cap] = (),
        ledger: Ledger | None = None,
        settled: Sequence[Entry] = (),
        price: float | None = None,
    ) -> None:
        self.total = Usage()
        self.guard: Callable[[], None] = lambda: None
        """Asked at every check besides the caps: it raises what else must stop the run."""
        self._entry = entry or Entry("", "", "", "")
        self._caps = caps
        self._ledger = ledger
        self._settled = settled
        self._price = price
        self._is_unpriced = False
        self._near: list[Cap] = []

    @property
    def model(self) -> str:
        """The model that was paid for last."""
        return self._entry.model

    def reserve(self) -> None:
        """Take what this run may need off what others can count on. Raises Capped where nothing is left."""
        if self._ledger is None:
            return
        with self._ledger.change() as entries:
            others = merged(self._settled, entries.values())
            reserved = {"usd": 0.0, "tokens": 0.0}
            for cap in self._caps:
                left = cap.most - sum(entry.held(cap.unit) for entry in others if cap.covers(entry))
                if left <= 0:
                    raise Capped(_said(cap, cap.spent(others), "no run is started"), self._wait(cap))
                if cap.run:
                    reserved[cap.unit] = min(left, reserved[cap.unit] or left)
            self._entry = replace(
                self._entry, reserved_usd=reserved["usd"], reserved_tokens=int(reserved["tokens"])
            )
            entries[self._entry.run] = self._entry

    def resume(self, entry: Entry) -> None:
        """Count on from what the ledger knows of this run, whose process is gone."""
        self._entry = entry
        self.total = Usage(0, entry.tokens, entry.usd)
        everything = self._everything()
        self._notice([each for each in everything if each.run != entry.run], everything)

    def check(self) -> None:
        """Before a call of a model. Raises Capped once a cap is reached, and what the guard does."""
        self.guard()
        if self._is_unpriced and any(cap.unit == "usd" for cap in self._caps):
            raise Capped(
                "Nobody knows the price of this model, so its cap in USD can't be kept: set "
                "`usd_per_million_tokens` under `budget:`, or cap tokens instead."
            )
        everything = self._everything() if self._caps else []
        for cap in self._caps:
            spent = cap.spent(everything)
            if spent >= cap.most:
                raise Capped(_said(cap, spent, "the run is stopped"), self._wait(cap))

    def add(self, usage: Usage, model: str = "") -> None:
        """After a call, with the provider's own figures."""
        if usage.usd is None and self._price is not None:
            usage = replace(usage, usd=usage.tokens * self._price / 1e6)
        self._is_unpriced = self._is_unpriced or (usage.usd is None and usage.tokens > 0)
        self.total += usage
        run, alone = self._entry.run, nullcontext[dict[str, Entry]]({})
        with self._ledger.change() if self._ledger is not None else alone as entries:
            before = merged(self._settled, (entries | {run: self._entry}).values())
            self._entry = entries[run] = replace(
                self._entry,
                model=model or self._entry.model,
                usd=self.total.usd or 0.0,
                tokens=self.total.tokens,
            )
            self._notice(before, merged(self._settled, entries.values()))

    def _notice(self, before: Sequence[Entry], after: Sequence[Entry]) -> None:
        """Keep the caps whose mark was passed in between: of runs side by side, by one of them alone."""
        self._near += [cap for cap in self._caps if cap.spent(before) < NEAR * cap.most <= cap.spent(after)]

    def near(self) -> list[Cap]:
        """The caps of which this run has passed the mark that people are told of."""
        return self._near

    def _wait(self, cap: Cap) -> float | None:
        """Seconds until a cap of the day counts anew; no wait helps against the others."""
        if not cap.day or not self._entry.at:
            return None
        began = times.parse(self._entry.at)
        tomorrow = datetime.combine(began.date() + timedelta(days=1), datetime.min.time(), UTC)
        return max(60.0, (tomorrow - began).total_seconds())

    def _everything(self) -> list[Entry]:
        noted = self._ledger.entries() if self._ledger is not None else {}
        return merged(self._settled, (noted | {self._entry.run: self._entry}).values())


def _said(cap: Cap, spent: float, what: str) -> str:
    wait = ", or wait for the next day" if cap.day else ""
    return (
        f"The cap {cap} is reached: {amount(spent, cap.unit)} spent; {what}. Raise it under `budget:`{wait}."
    )
