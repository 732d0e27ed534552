"""Tables: the records of one kind by identity, each made only when it is looked at."""

import json
from collections.abc import Iterable, Iterator, Mapping, ValuesView
from typing import Any, Generic, TypeVar

from agentos.model.records import Record

R = TypeVar("R", bound=Record)

Row = tuple[str, str, bytes]
"""A record that was not made yet: its path, its blob, and its fields as JSON."""


class Table(Mapping[str, R], Generic[R]):
    """Records by identity, each made only when it is looked at.

    `rows` maps an identity to its path, blob and cached fields; `kind` is the record they are read as.
    Two tables' rows can be compared without making records.
    """

    __slots__ = ("_base", "_kind", "_made", "_touched", "rows")

    def __init__(self, rows: dict[str, Row], kind: type[R]) -> None:
        self.rows = rows
        self._kind = kind
        self._made: dict[str, R] = {}
        self._base, self._touched = rows, frozenset[str]()

    @classmethod
    def of(cls, records: Iterable[R], kind: type[R]) -> "Table[R]":
        """A table of records that are there already."""
        made = {
            record.path if kind.kind in ("message", "document") else record.id: record for record in records
        }
        rows = {name: (r.path, "", json.dumps(r.fields()).encode()) for name, r in made.items()}
        table = cls(rows, kind)
        table._made = made
        return table

    def __getitem__(self, name: str) -> R:
        made = self._made.get(name)
        if made is None:
            path, _, fields = self.rows[name]
            made = self._made[name] = self._kind.from_row(path, fields)
        return made

    def get(self, name: object, default: Any = None) -> Any:
        return self[str(name)] if name in self.rows else default

    def values(self) -> ValuesView[R]:
        """Every record; those that were not made yet are made in one go."""
        if len(self._made) < len(self.rows):
            missing = ((name, row) for name, row in self.rows.items() if name not in self._made)
            self._made.update(list(self._kind.from_rows(missing)))
        return self._made.values()

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, name: object) -> bool:
        return name in self.rows

    def path(self, name: str) -> str:
        """Where a record's file is; the record is not made."""
        return self.rows[name][0]

    def with_row(self, name: str, row: Row | None) -> "Table[R]":
        """The same table with one row set, or gone for None."""
        rows = dict(self.rows)
        if row is None:
            rows.pop(name, None)
        else:
            rows[name] = row
        table: Table[R] = Table(rows, self._kind)
        table._made = {key: made for key, made in self._made.items() if key != name}
        table._base, table._touched = self._base, self._touched | {name}
        return table

    @property
    def touched(self) -> frozenset[str]:
        """The names whose rows were set since the table was made."""
        return self._touched

    def rows_of(self, name: str) -> tuple[Row | None, Row | None]:
        """A name's row when the table was made, and now."""
        return self._base.get(name), self.rows.get(name)

    def differing(self, other: "Table[Any]") -> set[str]:
        """The names whose rows are not the same in both tables; no record is made.

        Of two that came from one table by `with_row`, only the rows that were set are looked at.
        """
        mine, theirs = self.rows, other.rows
        if self._base is other._base:
            asked: Iterable[str] = self._touched | other._touched
        else:
            asked = mine.keys() | theirs.keys()
        return {name for name in asked if mine.get(name) != theirs.get(name)}


class Groups(Mapping[str, tuple[R, ...]], Generic[R]):
    """Records in groups, such as each parent's tasks, sorted; only those of the groups looked at are made."""

    def __init__(self, table: Table[R], names: Mapping[str, Iterable[str]]) -> None:
        self.names = names
        self._table = table

    def __getitem__(self, key: str) -> tuple[R, ...]:
        return tuple(self._table[name] for name in sorted(self.names[key]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, key: object) -> bool:
        return key in self.names
