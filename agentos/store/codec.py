"""The door for text: a file's bytes become a row of checked plain data, a row becomes a record.

A row is what the cache keeps for one blob: the kind, the front matter as JSON, and what is wrong
with the file.
"""

import difflib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from agentos.model import conflicts
from agentos.model.records import LIST_FIELDS, RECORDS, Record
from agentos.model.words import is_record, kind_of
from agentos.store import frontmatter
from agentos.store.fields import Unreadable
from agentos.store.frontmatter import Page
from agentos.store.rows import MARKERS, NO_RECORD, Remark, Row

FIELD_ORDER = {kind: tuple(record.model_fields) for kind, record in RECORDS.items()}
"""The order in which fields are written into new files."""

_LOOKS_LIKE_RECORD = {"agent": "agentos:", "document": "type:"}
_BODY_MARKERS = re.compile(r"^<{7} .*?^={7}\r?$.*?^>{7} ", re.MULTILINE | re.DOTALL)


def row(path: str, data: bytes) -> Row:
    """The row for a file at `path` from the board's root."""
    kind = kind_of(path)
    if kind is None:
        return NO_RECORD
    try:
        page = frontmatter.split(path, data)
        fields = page.fields()
    except Unreadable as error:
        return _unreadable(kind, data, error)
    if not is_record(kind, path, fields):
        return NO_RECORD
    _normalise(kind, path, fields, page)
    try:
        record = RECORDS[kind].at(path, fields)
    except ValidationError as error:
        return Row(kind, None, tuple(_remarks(page, error)))
    return Row(kind, to_json(fields), tuple(_hints(page, record)))


def record(path: str, row: Row) -> Record:
    """The record that a row with fields stands for."""
    assert row.kind is not None and row.fields is not None
    return RECORDS[row.kind].from_row(path, row.fields)


def new_file(record: Record, body: str) -> bytes:
    """The bytes of a new record, fields in the usual order; a NUL, which no record may hold, is U+FFFD."""
    fields = record.fields()
    order = FIELD_ORDER[record.kind]
    known = {key: fields[key] for key in order if key in fields}
    return frontmatter.render(known | fields, body.replace("\0", "\ufffd"))


def edit(path: str, data: bytes, changes: dict[str, Any]) -> bytes:
    """The file with these fields set and nothing else changed."""
    kind = kind_of(path)
    order = FIELD_ORDER[kind] if kind else ()
    return frontmatter.split(path, data).with_fields(changes, order).data


def _normalise(kind: str, path: str, fields: dict[str, Any], page: Page) -> None:
    """A single value where a list is meant is a list of one; a task without a title has its heading's."""
    for key in LIST_FIELDS[kind] & fields.keys():
        value = fields[key]
        if isinstance(value, str) and kind != "agent":
            fields[key] = [value]
    for key in [key for key, value in fields.items() if value is None]:
        del fields[key]
    if kind == "task" and not fields.get("title"):
        heading = re.search(r"^#{1,6}[ \t]+(.+?)[ \t#]*\r?$", page.body, re.MULTILINE)
        fields["title"] = heading[1] if heading else _title_from(path)


def _title_from(path: str) -> str:
    stem = PurePosixPath(path).stem
    words = re.sub(r"^TASK-\d+-", "", stem).replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:] or stem


def _unreadable(kind: str, data: bytes, error: Unreadable) -> Row:
    mark = _LOOKS_LIKE_RECORD.get(kind)
    head = data[: frontmatter.MAX_HEAD].decode(errors="replace")
    if mark and not re.search(rf"^{mark}", head, re.MULTILINE):
        return NO_RECORD
    return Row(kind, None, ((error.line, error.reason, True),))


def _remarks(page: Page, error: ValidationError) -> list[Remark]:
    remarks = []
    for problem in error.errors(include_url=False, include_context=False):
        names = ".".join(str(part) for part in problem["loc"])
        line = frontmatter.line_of(page, problem["loc"])
        reason = problem["msg"].removeprefix("Input ").replace("should be", "must be")
        given = "" if problem["type"] == "missing" else f", not {_shown(problem['input'])}"
        remarks.append((line, f"{names} {_plain(reason)}{given}".strip(), True))
    return remarks


def _plain(reason: str) -> str:
    """Pydantic's wording without its jargon."""
    if "pattern" in reason:
        return "is not written as it must be"
    return reason[:1].lower() + reason[1:].replace("Field required", "is missing")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def _hints(page: Page, record: Record) -> list[Remark]:
    """What is odd but does no harm: the file is read, kept as it is, and the oddity is named."""
    hints: list[Remark] = []
    if page.opening.startswith("\ufeff"):
        hints.append((1, "begins with a byte order mark; it is kept", False))
    if "\r\n" in page.opening + page.head:
        hints.append((1, "has CRLF line ends; they are kept", False))
    if "<<<<<<< " in page.body and (found := _BODY_MARKERS.search(page.body)):
        line = page.body_line + page.body.count("\n", 0, found.start()) + 1
        hints.append((line, MARKERS, False))
    hints += _unsettled(page, record)
    if record.kind == "config":
        known = RECORDS["config"].model_fields.keys()
        for key in record.fields().keys() - known:
            near = difflib.get_close_matches(key, known, 1)
            also = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            hints.append((frontmatter.line_of(page, [key]), f"unknown setting {key!r}{also}", False))
    return hints


def _unsettled(page: Page, record: Record) -> Iterator[Remark]:
    """What a merge left unsettled, with the command that settles it."""
    fields = record.fields() if conflicts.FIELD in (record.model_extra or {}) else {}
    clashes = conflicts.clashes(page.body)
    if not fields and not clashes:
        return
    name = record.id if record.kind == "task" else shlex.quote(record.path)
    command = f"agentos settle {name}"
    for where, value in conflicts.unsettled(fields):
        line = frontmatter.line_of(page, [conflicts.FIELD, *where])
        key = ".".join(where)
        reason = f"a merge left {key} unsettled; the other side has {_shown(value)}"
        yield line, f"{reason}; {command} {shlex.quote(key)} --ours (or --theirs)", False
    above = page.body_line + 1
    for clash in clashes:
        line = above + clash.fence
        yield line, f"a merge left the text unsettled; {command} {clash.name} --ours (or --theirs)", False
