"""Edits: what changed inside one record from one version of its file to the next, field by field."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentos.model.words import lines

MOST_SHOWN = 60
"""Characters of one value in a line."""


class Side(NamedTuple):
    """One version of a record: its fields and the text below; no fields where it can't be read."""

    fields: Mapping[str, Any] | None
    body: str


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing that changed: a `field`, a `box`, the `text`; or all: `created`, `removed`, `moved`.

    A `message` was written, or a `file` changed in another way. `name` is the field, the criterion's text, or
    the kind of the message. Of a text, `old` and `new` are how many lines went and came.
    """

    what: str
    name: str = ""
    old: Any = None
    new: Any = None

    @property
    def text(self) -> str:
        """The edit as one line."""
        return "".join(part for part in self.parts)

    @property
    def parts(self) -> tuple[str, str]:
        """What it is about, and what became of it."""
        match self.what:
            case "field":
                return f"{self.name}: ", _became(self.old, self.new)
            case "box":
                return ("ticked: " if self.new else "cleared: "), shown(self.name)
            case "text":
                return "text: ", " ".join(f"{sign}{n}" for sign, n in (("+", self.new), ("−", self.old)) if n)
            case "message":
                return f"{self.name.replace('_', ' ')}: ", shown(self.new)
            case "file":
                return "file: ", self.name
            case "moved":
                return "moved: ", f"{self.old} → {self.new}"
            case _:
                return f"{self.what}: ", shown(self.new if self.what == "created" else self.old)


def edits(before: Side | None, after: Side | None) -> list[Edit]:
    """What differs between two versions; None where there is none. Never nothing."""
    if before is None or after is None:
        return [_whole(before, after)]
    if before.fields is None or after.fields is None:
        return [Edit("file", "could not be read" if after.fields is None else "can be read again")]
    found = list(_fields(before.fields, after.fields))
    if before.body != after.body:
        found += _text(before.body, after.body)
    return found or [Edit("file", "the same, written differently")]


def _fields(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> Iterator[Edit]:
    """The fields that differ; of maps, what differs inside."""
    for key in dict.fromkeys((*new, *old)):
        was, now = old.get(key), new.get(key)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from _fields(was, now, f"{above}{key}.")
        elif was != now:
            yield Edit("field", above + key, was, now)


def _whole(before: Side | None, after: Side | None) -> Edit:
    """A record that came or went."""
    side = after or before
    fields = side.fields or {} if side else {}
    title = fields.get("title") or fields.get("name") or next(iter(side.body.split("\n") if side else []), "")
    return Edit("created", new=title) if after else Edit("removed", old=title)


def _text(before: str, after: str) -> Iterator[Edit]:
    """The boxes that were ticked or cleared, and how many other lines differ."""
    from agentos.model.markdown import criteria

    old, new = ({box.text: box for box in criteria(body)} for body in (before, after))
    a, b = lines(before), lines(after)
    for text, box in new.items():
        was = old.get(text)
        if was is not None and was.is_ticked is not box.is_ticked:
            yield Edit("box", text, was.is_ticked, box.is_ticked)
            a[was.line] = b[box.line] = ""
    gone, come = Counter(a) - Counter(b), Counter(b) - Counter(a)
    if gone or come:
        yield Edit("text", "", gone.total(), come.total())


def _became(old: Any, new: Any) -> str:
    """A field's old and new value; of lists, what came and went."""
    if isinstance(old, list) or isinstance(new, list):
        had, has = (side if isinstance(side, list) else [] for side in (old, new))
        came, went = ([i for i in a if i not in b] for a, b in ((has, had), (had, has)))
        return shown(" ".join([*(f"+{i}" for i in came), *(f"−{i}" for i in went)])) or "another order"
    return f"{shown(old)} → {shown(new)}"


def shown(value: Any) -> str:
    """A value on one line, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
