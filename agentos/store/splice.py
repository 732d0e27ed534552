"""Setting fields in a YAML text by changing only the lines that say them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentos.errors import Invalid
from agentos.store.fields import Path, Span, dump, inline, load, scalar

Fields = Mapping[str, Any]


def update(text: str, changes: Fields, order: Sequence[str] = (), newline: str = "\n") -> str:
    """`text` with these fields set, None removing one; every other byte stays.

    A scalar changes in place, a list item by item, a map key by key; a new field comes after the last
    present one that precedes it in `order`, else at the end. The result is read again and compared:
    Invalid where a text is too unusual to be changed safely.
    """
    wanted = load(text)
    for key, value in changes.items():
        if value is None:
            wanted.pop(key, None)
        else:
            wanted[key] = value
        text = _set(text, (key,), value, order, newline)
    if not _same(_without_none(load(text)), _without_none(wanted)):
        raise Invalid(
            f"the fields {', '.join(changes)} can't be changed without touching others; edit by hand"
        )
    return text


def _same(one: Any, other: Any) -> bool:
    """Whether two values are alike in type as well: 1 is not true."""
    return json.dumps(_plain(one), sort_keys=True) == json.dumps(_plain(other), sort_keys=True)


def _without_none(value: Any) -> Any:
    """The value without keys that say nothing: a key left empty is as good as none."""
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


def _plain(value: Any) -> Any:
    """The value as reading gives it back: lists and dicts, no None inside maps that were written."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _set(text: str, path: Path, value: Any, order: Sequence[str], newline: str) -> str:
    spans: dict[Path, Span] = {}
    fields: Any = load(text, spans)
    for key in path[:-1]:
        fields = fields[key]
    span = spans.get(path)
    if span is None:
        return text if value is None else _insert(text, path, value, spans, order, newline)
    old = fields[path[-1]]
    if _same(old, value) and (value is not None or len(path) > 1):
        return text
    if value is None:
        return _remove(text, path, spans)
    if isinstance(old, dict) and isinstance(value, Mapping) and not span.flow and value:
        for key in dict.fromkeys((*old, *value)):
            text = _set(text, (*path, key), value.get(key), order, newline)
        return text
    if isinstance(old, list) and isinstance(value, Sequence) and not isinstance(value, str):
        edited = _set_list(text, path, old, list(value), spans)
        if edited is not None:
            return edited
    return _replace(text, span, value)


def _lines(text: str, span: Span) -> tuple[int, int]:
    """The whole lines that a value stands on, its key's line first, blank lines at its end left out."""
    start = text.rfind("\n", 0, span.key) + 1
    last = span.start + len(text[span.start : span.end].rstrip())
    stop = text.find("\n", max(last, span.key))
    return start, len(text) if stop < 0 else stop + 1


def _replace(text: str, span: Span, value: Any) -> str:
    """The value in its place: a one-line value stays on its line, with its quotes and its comment."""
    new = inline(value)
    old = text[span.start : span.end]
    if "\n" not in old.rstrip("\n") and not (span.quote and span.quote in "|>"):
        if span.quote and isinstance(value, str) and new == value and "\\" not in value:
            inner = value.replace("'", "''") if span.quote == "'" else value
            new = f"{span.quote}{inner}{span.quote}"
        gap = "" if old or text[span.start - 1 : span.start] == " " else " "
        return text[: span.start] + gap + new + text[span.end :]
    start, stop = _lines(text, span)
    name = text[start : text.index(":", span.key) + 1]
    ending = "\r\n" if text[start:stop].endswith("\r\n") else "\n"
    return text[:start] + f"{name} {new}{ending}" + text[stop:]


def _remove(text: str, path: Path, spans: dict[Path, Span]) -> str:
    span = spans[path]
    parent = spans.get(path[:-1])
    if parent is not None and parent.flow:
        kept = {
            key[-1]: text[s.key : s.end] for key, s in spans.items() if key[:-1] == path[:-1] and key != path
        }
        return text[: parent.start] + "{" + ", ".join(kept.values()) + "}" + text[parent.end :]
    start, stop = _lines(text, span)
    if parent is not None and sum(key[:-1] == path[:-1] for key in spans) == 1:
        return _replace(text, parent, {})
    return text[:start] + text[stop:]


def _insert(
    text: str, path: Path, value: Any, spans: dict[Path, Span], order: Sequence[str], newline: str
) -> str:
    parent, key = path[:-1], path[-1]
    siblings = {p[-1]: s for p, s in spans.items() if p[:-1] == parent}
    if parent and spans[parent].flow:
        span = spans[parent]
        inner = [text[s.key : s.end] for s in siblings.values()] + [f"{scalar(key)}: {inline(value)}"]
        return text[: span.start] + "{" + ", ".join(inner) + "}" + text[span.end :]
    before = list(order[: order.index(str(key))]) if key in order else list(order)
    known = [s for name, s in siblings.items() if name in before] if key in order else []
    anchor = max(known or siblings.values(), key=lambda s: s.key, default=None)
    at = _lines(text, anchor)[1] if anchor else len(text)
    indent = 0
    if anchor:
        indent = anchor.key - (text.rfind("\n", 0, anchor.key) + 1)
    lead = "" if not at or text[at - 1] == "\n" else newline
    return text[:at] + lead + dump({str(key): value}, indent, newline) + text[at:]


def _set_list(text: str, path: Path, old: list[Any], new: list[Any], spans: dict[Path, Span]) -> str | None:
    """The list edited item by item, or None where it is better written anew."""
    span = spans[path]
    items = [spans[(*path, i)] for i in range(len(old))]
    new = _plain(new)
    if any(old.count(item) > 1 for item in old) or any(new.count(item) > 1 for item in new):
        return None
    kept = [item for item in new if item in old]
    if not items or not new or kept != [item for item in old if item in new]:
        return None
    if span.flow:
        if "\n" in text[span.start : span.end]:
            return None
        raw = {repr(item): text[s.start : s.end] for item, s in zip(old, items, strict=True)}
        body = ", ".join(raw.get(repr(item)) or inline([item])[1:-1] for item in new)
        return text[: span.start] + "[" + body + "]" + text[span.end :]
    return _set_block(text, old, new, items)


def _set_block(text: str, old: list[Any], new: list[Any], items: list[Span]) -> str | None:
    """A block list with its dropped items' lines gone, and a line for each added one in its place."""
    bounds = [_lines(text, span) for span in items]
    dash = text[bounds[0][0] : items[0].start]
    if dash.strip() != "-" or any("\n" in text[s.start : s.end] for s in items):
        return None
    if not any(item in new for item in old):
        return None
    ending = "\r\n" if text[: bounds[0][1]].endswith("\r\n") else "\n"
    added: dict[int, list[str]] = {}
    last = -1
    for item in new:
        if item in old:
            last = old.index(item)
        else:
            added.setdefault(last, []).append(f"{dash}{inline(item)}{ending}")
    pieces = [text[: bounds[0][0]], *added.get(-1, [])]
    position = bounds[0][0]
    for i, (start, stop) in enumerate(bounds):
        pieces.append(text[position:start])
        if old[i] in new:
            line = text[start:stop]
            pieces.append(line if line.endswith("\n") else line + ending)
        pieces.extend(added.get(i, []))
        position = stop
    return "".join(pieces) + text[position:]
