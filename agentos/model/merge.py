"""The three-way merge of records: fields one by one, lists as sets, boxes one by one, text by lines.

It knows what each field means, so that two edits meet only where they say different things of the same one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from agentos.model import conflicts as kept
from agentos.model.fences import opened, units
from agentos.model.words import Status, lines

Fields = Mapping[str, Any]

_BOX = re.compile(r"^(\s*(?:[-*+]|\d+[.)])[ \t]+)\[([ xX])\](?=\s)")
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Merged:
    """What to change in our fields (None removes one), and the other side's value of each true conflict."""

    changes: dict[str, Any]
    conflicts: dict[str, Any]


def fields(base: Fields, ours: Fields, theirs: Fields) -> Merged:
    """Bring their changes since `base` to our fields.

    Where only one side changed a field, that; changed against removed, the change; lists as sets; maps key by
    key. `status`: both moved → a send-back out of review wins, else the further along, and `resolution` goes
    with it. Anything else that both changed differently keeps our value and is a conflict.
    """
    changes: dict[str, Any] = {}
    conflicts: dict[str, Any] = {}
    for key in dict.fromkeys((*ours, *theirs)):
        if key in ("resolution", kept.FIELD):
            continue
        b, o, t = (side.get(key, _ABSENT) for side in (base, ours, theirs))
        merged, clash = _value(key, b, o, t)
        if merged is _ABSENT:
            changes[key] = None
        elif merged is not o and merged != o:
            changes[key] = merged
        if clash is not _ABSENT:
            conflicts[key] = clash
    status = changes.get("status", ours.get("status"))
    winner = theirs if status != ours.get("status") or theirs.get("status") == status else ours
    resolution = _follow(status, base, ours, theirs, winner)
    if resolution != ours.get("resolution"):
        changes["resolution"] = resolution
    return Merged(changes, conflicts)


def _value(key: str, base: Any, ours: Any, theirs: Any) -> tuple[Any, Any]:
    """One field's merged value, and what of theirs is in conflict with it (_ABSENT: nothing)."""
    sides = (base, ours, theirs)
    if theirs in (base, ours):
        return ours, _ABSENT
    if ours == base:
        return theirs, _ABSENT
    if all(isinstance(side, list) or side is _ABSENT for side in sides):
        return items(*([] if side is _ABSENT else side for side in sides)) or _ABSENT, _ABSENT
    if _ABSENT in (ours, theirs):
        return (theirs if ours is _ABSENT else ours), _ABSENT
    if key == "status":
        return _status(base, ours, theirs), _ABSENT
    if all(isinstance(side, Mapping) or side is _ABSENT for side in sides):
        inner = fields({} if base is _ABSENT else base, ours, theirs)
        merged = {name: value for name, value in {**ours, **inner.changes}.items() if value is not None}
        return merged, inner.conflicts or _ABSENT
    return ours, theirs


def _status(base: Any, ours: Any, theirs: Any) -> Any:
    order = list(Status)
    if base == Status.REVIEW:
        back = [side for side in (ours, theirs) if side in order and order.index(side) < order.index(base)]
        if back:
            return min(back, key=order.index)
    ranked = [side for side in (ours, theirs) if side in order]
    return max(ranked, key=order.index) if len(ranked) == 2 else ours


def _follow(status: Any, base: Fields, ours: Fields, theirs: Fields, winner: Fields) -> Any:
    """The resolution that goes with the merged status: changed on one side, that; else the winner's."""
    if status != Status.DONE:
        return None
    b, o, t = (side.get("resolution") for side in (base, ours, theirs))
    if t == b:
        return o if o is not None else t
    return t if o == b else (winner.get("resolution") or o or t)


def items(base: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    """Lists as sets: our list without what they took away, and with what they added at its end."""
    gone = [item for item in base if item not in theirs]
    kept = [item for item in ours if item not in gone]
    return kept + [item for item in theirs if item not in base and item not in ours]


# Text ---------------------------------------------------------------------------------------------------


def text(base: str, ours: str, theirs: str, *, fenced: bool = True) -> tuple[str, bool]:
    """Bring their changes to our text, line by line; gives the text, and whether there was a conflict.

    A box that one side ticked is ticked. What both inserted at one place is kept, ours first. Lines that both
    changed differently stay ours, with theirs below in a fenced block (`conflicts.block`) if `fenced`. Where
    that would tear a code block apart, code blocks are merged as a whole.
    """
    if theirs in (base, ours):
        return ours, False
    if ours == base:
        return theirs, False
    is_mixed = "\r\n" in ours and ours.count("\r\n") < ours.count("\n")
    newline = "\r\n" if "\r\n" in ours and not is_mixed else "\n"
    sides = [lines(side if is_mixed else side.replace("\r\n", "\n")) for side in (base, ours, theirs)]
    merged, taken = _joined(sides, fenced)
    ends = {opened(sides[1]), opened(sides[2])}
    if not {opened(merged), opened(taken)} <= ends:
        merged, taken = _joined([units(side) for side in sides], fenced)
    is_conflict = merged != taken
    text = "".join(merged)
    return (text if is_mixed else text.replace("\n", newline)), is_conflict


def _joined(sides: Sequence[list[str]], fenced: bool) -> tuple[list[str], list[str]]:
    """Base, ours and theirs, cut into lines or larger units, merged; and with theirs for each conflict."""
    merged: list[str] = []
    taken: list[str] = []
    for base, ours, theirs in _chunks(*sides):
        settled = _settle(base, ours, theirs)
        above, other = (lines("".join(_ended(side))) for side in (ours, theirs))
        block = kept.block(merged, above, other) if settled is None and fenced else []
        merged += settled if settled is not None else [*above, *block]
        taken += settled if settled is not None else other
    return merged, taken


Chunk = tuple[list[str], list[str], list[str]]


def _chunks(base: list[str], ours: list[str], theirs: list[str]) -> Iterator[Chunk]:
    """The three texts cut where all agree (boxes aside): the classic diff3 (Khanna et al., 2007)."""
    plain = [[_BOX.sub(r"\1[ ]", line) for line in side] for side in (base, ours, theirs)]
    mine = _matches(plain[0], plain[1])
    other = _matches(plain[0], plain[2])
    b = o = t = 0
    for i in range(len(base)):
        if i in mine and i in other and mine[i] >= o and other[i] >= t:
            yield base[b:i], ours[o : mine[i]], theirs[t : other[i]]
            yield [base[i]], [ours[mine[i]]], [theirs[other[i]]]
            b, o, t = i + 1, mine[i] + 1, other[i] + 1
    yield base[b:], ours[o:], theirs[t:]


def _matches(old: list[str], new: list[str]) -> dict[int, int]:
    """Which line of `new` each kept line of `old` is."""
    found = {}
    for start, other, size in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        found.update({start + k: other + k for k in range(size)})
    return found


def _settle(base: list[str], ours: list[str], theirs: list[str]) -> list[str] | None:
    """One chunk: the side that changed it, or both insertions; None for a true conflict."""
    if theirs in (base, ours):
        return ours
    if ours == base:
        return theirs
    if len(base) == len(ours) == len(theirs) == 1 and _BOX.match(base[0]):
        box = _box(base[0], ours[0], theirs[0])
        return [box] if box is not None else None
    if not base:
        mine = units(ours)
        fresh = [part for part in units(theirs) if part not in mine or not part.strip()]
        return [*_ended(ours), *fresh]
    return None


def suggested(ours: Sequence[str], theirs: Sequence[str], gap: str) -> list[str]:
    """What two versions of some lines may have come from: what both have, unticked; `gap` where they differ.

    Lines that only one has count as inserted.
    """
    mine, other = ([_BOX.sub(r"\1[ ]", line) for line in side] for side in (ours, theirs))
    found: list[str] = []
    for tag, a, b, c, d in SequenceMatcher(None, mine, other, autojunk=False).get_opcodes():
        if tag == "equal":
            found += [mine[i] if ours[i] != theirs[c + i - a] else ours[i] for i in range(a, b)]
        elif b > a and d > c:
            found.append(gap)
    return found


def _box(base: str, ours: str, theirs: str) -> str | None:
    """A line with a box: its words and its tick each from the side that changed them; None where both did."""
    b, o, t = (_BOX.sub(r"\1[ ]", line) for line in (base, ours, theirs))
    if o not in (b, t) and t != b:
        return None
    states = [match[2] if (match := _BOX.match(line)) else " " for line in (base, ours, theirs)]
    state = states[2] if states[1] == states[0] else states[1]
    return _BOX.sub(rf"\1[{state}]", theirs if o == b else ours)


def _ended(part: list[str]) -> list[str]:
    """The lines with the last one ended, so that more can follow."""
    return [*part[:-1], part[-1] if part[-1].endswith("\n") else part[-1] + "\n"] if part else []
