"""True conflicts that a merge left in a record: what they say, and the record once one is settled.

A field's other value stands under `conflicts:`, a text's other lines in a fenced block below ours. Light, so
that git's merge driver starts fast.
"""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentos.model.fences import opened
from agentos.model.words import lines

FIELD = "conflicts"
"""The field that keeps the other side's value of each true conflict."""

FENCE = "conflict"
"""The first word of the fenced block that keeps the other side's text."""

Where = tuple[str, ...]
"""A field by its keys from the outermost: `("priority",)`, `("agentos", "role")`."""

_OPEN = re.compile(
    rf"^(`{{3,}}|~{{3,}}){FENCE}"
    r"(?: instead of the (?:(\d+) lines|(line)) above| of removed lines(\b))?[ \t]*\r?$"
)


@dataclass(frozen=True, slots=True)
class Clash:
    """One place of a text: from line `start` ours, the block from `fence` to before `end` (0 is the first).

    `start` is None where the block doesn't say how many lines it stands against.
    """

    start: int | None
    fence: int
    end: int
    ours: str
    theirs: str

    @property
    def name(self) -> str:
        """What it goes by, such as `text-3f9a`: made from their lines, so it stays when lines move."""
        return f"text-{zlib.crc32(self.theirs.encode()) & 0xFFFF:04x}"


def joined(earlier: Mapping[str, Any], fresh: Mapping[str, Any]) -> dict[str, Any]:
    """Both sets of unsettled values; a second one of a field goes by `field~2`, so that none is lost."""
    kept = dict(earlier)
    for key, value in fresh.items():
        name, count = key, 1
        while name in kept and kept[name] != value:
            if isinstance(kept[name], Mapping) and isinstance(value, Mapping):
                value = joined(kept[name], value)
                break
            count += 1
            name = f"{key}~{count}"
        kept[name] = value
    return kept


def unsettled(fields: Mapping[str, Any]) -> Iterator[tuple[Where, Any]]:
    """Each field that a merge left unsettled, with the other side's value."""
    other = fields.get(FIELD)
    if isinstance(other, Mapping):
        yield from _unsettled(fields, other, ())


def _unsettled(
    ours: Mapping[str, Any], other: Mapping[str, Any], above: Where
) -> Iterator[tuple[Where, Any]]:
    for key, value in other.items():
        mine = ours.get(key)
        if isinstance(value, Mapping) and isinstance(mine, Mapping):
            yield from _unsettled(mine, value, (*above, key))
        else:
            yield (*above, key), value


def value(fields: Mapping[str, Any], where: Where) -> Any:
    """Our value of a field, None where there is none; a second conflict's `~2` is no part of its name."""
    found: Any = fields
    for key in where:
        found = found.get(key.partition("~")[0]) if isinstance(found, Mapping) else None
    return found


def settled(fields: Mapping[str, Any], where: Where, theirs: bool) -> dict[str, Any]:
    """The fields to change (None removes one) so that this conflict is settled, our way or theirs."""
    changes: dict[str, Any] = {FIELD: _without(fields[FIELD], where) or None}
    if theirs:
        other = value_at(fields[FIELD], where)
        key, *inner = (part.partition("~")[0] for part in where)
        changes[key] = _with(fields.get(key), inner, other)
    return changes


def value_at(fields: Mapping[str, Any], where: Where) -> Any:
    """What stands at exactly these keys."""
    found: Any = fields
    for key in where:
        found = found[key]
    return found


def _without(fields: Mapping[str, Any], where: Where) -> dict[str, Any]:
    """The map without this entry, and without the maps that are empty then."""
    key, *inner = where
    rest = _without(fields[key], tuple(inner)) if inner else None
    return {k: rest if k == key else v for k, v in fields.items() if k != key or rest}


def _with(fields: Any, where: Sequence[str], new: Any) -> Any:
    if not where:
        return new
    return {**fields, where[0]: _with(fields.get(where[0]), where[1:], new)}


# Text ---------------------------------------------------------------------------------------------------


def block(before: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Their lines as a block that follows ours; `before` are the lines of the text above.

    Inside a code block of the text it is fenced with the other character, so that it can't end that block.
    """
    mark = "~" if opened([*before, *ours]).startswith("`") else "`"
    longest = max((len(run) for line in theirs for run in re.findall(rf"{mark}+", line)), default=0)
    fence = mark * max(3, longest + 1)
    count = f"{len(ours)} lines" if len(ours) != 1 else "line"
    about = f" instead of the {count} above" if ours else " of removed lines"
    return [f"{fence}{FENCE}{about}\n", *theirs, f"{fence}\n"]


def clashes(body: str) -> list[Clash]:
    """The places of a text that a merge left unsettled, from the top."""
    if f"`{FENCE}" not in body and f"~{FENCE}" not in body:
        return []
    parts = lines(body)
    found = []
    at = 0
    while at < len(parts):
        match = _OPEN.match(parts[at].rstrip("\n"))
        end = _closing(parts, at, match[1]) if match else None
        if match is None or end is None:
            at += 1
            continue
        count = int(match[2]) if match[2] else 1 if match[3] else 0 if match[4] is not None else None
        start = at - count if count is not None and count <= at else None
        ours = "".join(parts[start:at]) if start is not None else ""
        found.append(Clash(start, at, end, ours, "".join(parts[at + 1 : end - 1])))
        at = end
    return found


def _closing(parts: Sequence[str], at: int, fence: str) -> int | None:
    """The line after the one that closes the block opened at `at`."""
    return next((i + 1 for i in range(at + 1, len(parts)) if parts[i].rstrip() == fence), None)


def settled_text(body: str, clash: Clash, theirs: bool) -> str:
    """The text with this place settled, our way or theirs; theirs needs to know where ours starts."""
    parts = lines(body)
    if theirs:
        assert clash.start is not None
        return "".join([*parts[: clash.start], clash.theirs, *parts[clash.end :]])
    return "".join([*parts[: clash.fence], *parts[clash.end :]])
