"""Taking one change back from what a record is now; what was changed again later stays as it is."""

from collections.abc import Mapping
from typing import Any

from agentos.model import merge

_ABSENT = object()

WHOLE = frozenset({"assignees"})
"""Lists that mean something only as a whole: who works, not who also does."""


def fields(
    after: Mapping[str, Any], now: Mapping[str, Any], before: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to change in the fields of now (None removes one), so that the step `before` → `after` is undone.

    Lists go item by item, maps key by key. The second dict is what stays, since it was changed again later.
    """
    changes: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for key in dict.fromkeys((*before, *after)):
        a, n, b = (side.get(key, _ABSENT) for side in (after, now, before))
        if a == b or n == b:
            continue
        if n == a:
            changes[key] = None if b is _ABSENT else b
        elif key not in WHOLE and all(isinstance(side, list) or side is _ABSENT for side in (a, n, b)):
            items = merge.items(*([] if side is _ABSENT else side for side in (a, n, b)))
            if items != n:
                changes[key] = items or None
        elif all(isinstance(side, Mapping) for side in (a, n, b)):
            inner, left = fields(a, n, b)
            kept |= {f"{key}.{name}": value for name, value in left.items()}
            if inner:
                merged = {**n, **inner}
                changes[key] = {name: value for name, value in merged.items() if value is not None}
        else:
            kept[key] = None if n is _ABSENT else n
    return changes, kept


def text(after: str, now: str, before: str) -> tuple[str, bool]:
    """The text of now without the step `before` → `after`, and whether a part stays that changed again."""
    return merge.text(after, now, before, fenced=False)
