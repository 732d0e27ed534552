"""The ledger: what the runs of this clone reserve and spend, until history has it."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from agentos.model import times
from agentos.store.lock import board_lock

AGE = timedelta(days=2)
"""For how long a settled run stays: longer than any other run can take its figures from old history."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run has spent, and while it is in flight what it has reserved."""

    run: str
    agent: str
    task: str
    at: str
    """When it began or, from history, was settled (ISO 8601, UTC)."""
    usd: float = 0.0
    tokens: int = 0
    reserved_usd: float = 0.0
    reserved_tokens: int = 0
    model: str = ""
    is_settled: bool = False

    @property
    def day(self) -> str:
        """The day in UTC to which it counts."""
        return self.at[:10]

    def spent(self, unit: str) -> float:
        """What it has spent, in `usd` or `tokens`."""
        return self.usd if unit == "usd" else self.tokens

    def held(self, unit: str) -> float:
        """What nobody else may count on: reserved, or spent where that is more."""
        reserved = self.reserved_usd if unit == "usd" else self.reserved_tokens
        return max(self.spent(unit), 0 if self.is_settled else reserved)


class Ledger:
    """The entries of this clone, in one file under a lock of their own."""

    def __init__(self, local: Path) -> None:
        self._file = local / "ledger.json"
        self._lock = local / "ledger.lock"

    def entries(self) -> dict[str, Entry]:
        """Every run by its id; none where the file can't be read."""
        try:
            data = json.loads(self._file.read_bytes())
            return {str(run): Entry(**fields) for run, fields in data.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def is_open(self) -> bool:
        """Whether any run is not settled yet."""
        return any(not entry.is_settled for entry in self.entries().values())

    @contextlib.contextmanager
    def change(self) -> Iterator[dict[str, Entry]]:
        """The entries, to be changed in place; written when the block is left without an error."""
        with board_lock(self._lock):
            entries = self.entries()
            yield entries
            self._write(entries)

    def _write(self, entries: Mapping[str, Entry]) -> None:
        partial = self._file.with_name(f"ledger.{os.getpid()}")
        partial.write_text(json.dumps({run: asdict(entry) for run, entry in entries.items()}))
        partial.replace(self._file)

    def settle(self, run: str, now: datetime) -> None:
        """History has this run's cost from now on; old entries that it has too are forgotten."""
        oldest = times.stamp(now - AGE)
        with self.change() as entries:
            if run in entries:
                entries[run] = replace(entries[run], is_settled=True)
            for name in [name for name, e in entries.items() if e.is_settled and e.at < oldest]:
                del entries[name]


def merged(history: Iterable[Entry], ledger: Iterable[Entry]) -> list[Entry]:
    """Every run once: as history has it, else as the ledger does."""
    found = {entry.run: entry for entry in ledger}
    found.update({entry.run: entry for entry in history})
    return list(found.values())
