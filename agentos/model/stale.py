"""Stale saves: whether a file was written over an earlier version by somebody who had not seen the newest."""

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, NamedTuple

from agentos.model.words import lines

FEWEST = 2
"""On how many of the changes since a save must agree with the earlier version to be a stale one."""

_ABSENT = object()


class Text(NamedTuple):
    """One version of a record: its front matter and its body."""

    fields: Mapping[str, Any]
    body: str


def agreement(saved: Text, head: Text, earlier: Text) -> int:
    """On how many of the fields and body hunks changed since `earlier` the saved text has the earlier value.

    0 where it is not stale: fewer than two, no more than it shares with `head`, or nothing edited besides.
    """
    votes = [*_field_votes(saved, head, earlier), *_hunk_votes(saved.body, head.body, earlier.body)]
    old, new = votes.count(-1), votes.count(1)
    is_stale = old >= FEWEST and old > new and (saved.fields != earlier.fields or saved.body != earlier.body)
    return old if is_stale else 0


def edits(old: Text, new: Text) -> int:
    """How many fields and body hunks differ."""
    keys = [*old.fields, *(key for key in new.fields if key not in old.fields)]
    changed = [key for key in keys if old.fields.get(key, _ABSENT) != new.fields.get(key, _ABSENT)]
    return len(changed) + len(_hunks(lines(old.body), lines(new.body)))


def _field_votes(saved: Text, head: Text, earlier: Text) -> Iterator[int]:
    """For each field changed since: -1 for the earlier value, 1 for the newest, 0 for another."""
    for key in dict.fromkeys((*earlier.fields, *head.fields)):
        e, h, s = (side.fields.get(key, _ABSENT) for side in (earlier, head, saved))
        if e != h:
            yield -1 if s == e else 1 if s == h else 0


Span = tuple[int, int]


def _hunks(old: list[str], new: list[str]) -> list[tuple[Span, Span]]:
    """The spans of lines that differ, in both texts."""
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [((a, b), (c, d)) for tag, a, b, c, d in codes if tag != "equal"]


def _hunk_votes(saved: str, head: str, earlier: str) -> Iterator[int]:
    """The same for each hunk of the body."""
    sides = [lines(text) for text in (saved, head, earlier)]
    in_earlier, in_head = _kept(sides[2], sides[0]), _kept(sides[1], sides[0])
    for before, after in _hunks(sides[2], sides[1]):
        is_old, is_new = _holds(in_earlier, before), _holds(in_head, after)
        yield 0 if is_old == is_new else -1 if is_old else 1


def _kept(text: list[str], saved: list[str]) -> list[int]:
    """At which line of `saved` each line of `text` is, -2 for none; the ends of both stand around them."""
    found = [-2] * len(text)
    blocks = SequenceMatcher(None, text, saved, autojunk=False).get_matching_blocks()
    for start, other, size in blocks:
        found[start : start + size] = range(other, other + size)
    return [-1, *found, len(saved)]


def _holds(kept: list[int], span: Span) -> bool:
    """Whether these lines stand together in the saved text; for no lines, whether their neighbours do."""
    start, end = span
    places = kept[start + 1 : end + 1] if end > start else kept[start : start + 2]
    return -2 not in places and all(b == a + 1 for a, b in pairwise(places))
