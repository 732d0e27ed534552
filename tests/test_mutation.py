"""Mutated files: whatever a file has become, reading it gives a row and editing it works or is refused."""

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from agentos.errors import Invalid
from agentos.model import soundness, working
from agentos.store import codec, fields, frontmatter, snapshot
from agentos.store.cache import File
from agentos.store.rows import Row

SEED = int(os.environ.get("AGENTOS_SEED", "20260202"))
MUTATIONS = int(os.environ.get("AGENTOS_MUTATIONS", "2000"))
SLOWEST = 0.5
"""Seconds of CPU that the slowest file may take; the target is 0.05, the rest is for a busy machine."""

NOW = datetime(2026, 2, 2, 10, 30, tzinfo=UTC)

FILES = {
    "board/tasks/TASK-001-add-login.md": """---
# what everybody waits for
title:   'Add a login'  # why
status: in_progress
priority: 2   # soon
assignees: [technical, qa]
depends_on:
- TASK-002-database
- TASK-003-design   # too
labels: ["a: b", no, 1.10]
due: 2026-12-24
created: 2026-02-02T10:30:00Z
zeta: {b: 1,  a: [x, "y"], c: {d: [[1]]}}
notes: |
  two
  lines
---

Words.

## Acceptance criteria

- [ ] `pytest -q` passes
- [x] Looks right
""",
    "board/tasks/TASK-002-database.md": "---\ntitle: Database\nstatus: assigned\n---\n\nWords.\n",
    "board/messages/TASK-001-add-login/20260202T103000Z-qa-k3f9.md": """---
author: qa
type: question
mentions: [technical]
reactions: {thumbs_up: [technical]}
created: 2026-02-02T10:30:00Z
---

Which page, @technical?
""",
    "agents/technical.md": """---
name: technical
description: Backend developer.
tools: Read, Grep
agentos:
  role: Developer
  capabilities: [backend-developer]
  runner: simulated
  heartbeat: 15m
  timezone: Europe/Berlin
  budget: {usd_per_run: 1.5}
---

You are technical.
""",
    "docs/team.md": "---\r\ntitle: How we work\r\ntype: protocol\r\ncreated_by: ada\r\n---\r\n\r\n- Rules.\r\n",
    "board/inbox/technical.md": "\ufeff---\nread_until: 2026-02-02T10:30:00Z\nread: []\n---\n",
    "board/config.yml": "# settings\nformat: 1\nbranch: main\nadopt: true\npeople:\n  ada: {name: Ada, email: a@b.c}\n",
}

PIECES = [
    "---\n", "\n---\n", "...\n", ": ", "- ", "? ", "&a ", "*a", "!!int ", "!x", "<<: ", "|\n", ">-\n", "[", "]", "{", "}",
    ",", "#", " #1", "'", '"', "\\", "%YAML 1.1\n", "@", "`", "\t", "\r", "\r\n", "\0", "\ufeff", "\x85", "\u2028", "é",
    "\U0001f600", "\x1b[31m", "\x7f", "<<<<<<< HEAD\n", "=======\n", ">>>>>>> x\n", "~", "null", "[[[[[[[[[[", "{a: " * 9,
]  # fmt: skip
LINES = [
    "due: 2026-02-30", "due: 2026-13-01T10:00Z", "created: 0000-00-00", "created: 2026-02-02T25:61:00Z", "priority: 99",
    "priority: 1.5", "priority: [1]", "status: Done", "status: {a: 1}", "title: [x]", "title:", "depends_on: {a: b}",
    "assignees: 'No Body'", "labels: [[x]]", "self: 1", "fields: 2", "path: ../../etc/passwd", "id: x", "_path: y",
    "kind: agent", "model_config: {}", "format: 2", "name: other", "agentos: 3", "heartbeat: 1", "type: note", "1: 2",
    "read: x", "status: in_progress", "a: &x [*x]", "resolution: never", "parent: TASK-001-add-login",
]  # fmt: skip


def mutate(data: bytes, chance: random.Random) -> bytes:
    """The file after one to three accidents."""
    for _ in range(chance.choice([1, 1, 2, 3])):
        data = chance.choice(ACCIDENTS)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, len(data)))
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    at, until = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:at] + data[until:] if chance.random() < 0.5 else data[:at]


def _double(data: bytes, chance: random.Random) -> bytes:
    at, until = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:until] + data[at:]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(PIECES).encode() + data[at:]


def _unicode(data: bytes, chance: random.Random) -> bytes:
    text = "".join(chr(chance.choice([*range(0x20, 0xD800), 0xE000, 0xFFFE])) for _ in range(4))
    at = chance.randrange(len(data) + 1)
    return data[:at] + text.encode() + data[at:]


def _without_fence(data: bytes, chance: random.Random) -> bytes:
    return data.replace(b"---\n", b"", chance.choice([1, -1]))


def _line(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = chance.randrange(1, len(lines) + 1)
    old, new = lines[at - 1], chance.choice(LINES).encode()
    lines[at - 1 : at] = chance.choice([[old, new], [new], [], [old, old], [b"  " + old]])
    return b"\n".join(lines)


ACCIDENTS: list[Callable[[bytes, random.Random], bytes]] = [
    _flip, _cut, _double, _insert, _insert, _unicode, _without_fence, _line, _line, _line,
]  # fmt: skip


def mutants() -> Iterator[tuple[str, bytes]]:
    """The same files every time: a path, and what has become of its file."""
    chance = random.Random(SEED)
    paths = list(FILES)
    for i in range(MUTATIONS):
        path = paths[i % len(paths)] if i % 3 else paths[0]
        yield path, mutate(FILES[path].encode(), chance)


def test_reading_a_mutated_file_never_raises() -> None:
    print(f"seed {SEED}, {MUTATIONS} files")
    slowest, which, unreadable = 0.0, b"", 0
    for path, data in mutants():
        before = time.process_time()
        row = codec.row(path, data)
        took = time.process_time() - before
        slowest, which = max((slowest, which), (took, data))
        assert isinstance(row, Row)
        if row.fields is not None:
            assert codec.record(path, row).path == path
        elif row.kind is not None:
            unreadable += 1
            assert row.remarks
        for line, reason, _ in row.remarks:
            assert 1 <= line <= data.count(b"\n") + 2, (data, row)
            assert reason.strip()
    print(f"{unreadable} unreadable; the slowest took {slowest * 1000:.1f} ms")
    assert slowest < SLOWEST, which
    assert unreadable > MUTATIONS // 10


CHANGES: list[tuple[str, Any]] = [
    ("priority", 1), ("title", "Don't: panic #1"), ("status", "done"), ("labels", ["x", "a: b"]), ("assignees", None),
    ("blocked", "é, \u2028 and 'so' on"), ("zeta", {"b": 2}),
]  # fmt: skip


def test_editing_a_mutated_file_works_or_is_refused() -> None:
    chance = random.Random(SEED + 1)
    edited = 0
    for path, data in mutants():
        key, value = chance.choice(CHANGES)
        try:
            before = frontmatter.split(path, data).fields()
        except Invalid:
            before = None
        try:
            after = codec.edit(path, data, {key: value})
        except Invalid:
            continue
        if before is None:
            continue
        wanted = before | {key: value} if value is not None else {k: v for k, v in before.items() if k != key}
        assert frontmatter.split(path, after).fields() == wanted, (data, after)
        assert _others(path, data, key) == _others(path, after, key), (data, after)
        edited += 1
    assert edited > MUTATIONS // 4


def _others(path: str, data: bytes, key: str) -> list[str]:
    """The lines of the file that say something else than this field, the fences left out."""
    page = frontmatter.split(path, data)
    spans: dict[fields.Path, fields.Span] = {}
    fields.load(page.head, spans)
    head = page.head
    if (key,) in spans:
        span = spans[(key,)]
        start = head.rfind("\n", 0, span.key) + 1
        stop = head.find("\n", max(span.key, span.start, span.end - 1))
        head = head[:start] + (head[stop + 1 :] if stop >= 0 else "")
    return [line.rstrip("\r") for line in (head + page.body).split("\n") if line.strip()]


def test_a_board_of_mutated_files_can_be_shown() -> None:
    files: dict[str, File] = {}
    data_of = {}
    for i, (path, data) in enumerate(mutants()):
        if path == "board/config.yml":
            continue
        path = path.replace("TASK-00", f"TASK-{i}").replace("k3f9", f"{i}")
        row = codec.row(path, data)
        files[path] = (str(i), *row, None)
        data_of[path] = data
        if len(files) == 100:
            _show(files, data_of)
            files, data_of = {}, {}
    _show(files, data_of)


def _show(files: dict[str, File], data_of: dict[str, bytes]) -> None:
    try:
        board = snapshot.assemble(None, files)
        list(soundness.problems(board))
        page = working.render(board, [], NOW, working.all_problems(board))
    except Exception:
        for path, file in files.items():
            try:
                working.render(snapshot.assemble(None, {path: file}), [], NOW)
            except Exception as error:
                pytest.fail(f"{error!r} for {path}: {data_of[path].decode(errors='replace')}")
        raise
    assert page.startswith(working.TITLE)
