"""A draft: the board as a transaction finds it, and as it will be; everything is decided on this value."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath
from types import EllipsisType
from typing import TypeVar

from agentos.errors import AgentOSError, Invalid, NotFound
from agentos.model import ids, times
from agentos.model.activity import Actor
from agentos.model.board import Board, Problem
from agentos.model.records import RECORDS, Record, Task
from agentos.model.words import kind_of
from agentos.store import codec, merging
from agentos.store.cache import File, Snapshot
from agentos.store.joining import Joined
from agentos.store.objects import EXECUTABLE, FILE, Entry, Objects, blob_id
from agentos.store.refs import Claim, Move, Refs, claim_ref, parse_claim
from agentos.store.snapshot import assemble, board_of, require_format, with_file

R = TypeVar("R", bound=Record)

_TOKEN = "abcdefghjkmnpqrstuvwxyz23456789"


class Draft:
    """What one transaction reads and changes. Nothing here touches the disk."""

    def __init__(
        self,
        found: Snapshot,
        refs: Refs,
        objects: Objects,
        by: Actor,
        now: datetime,
        waiting: Mapping[str, Problem],
    ) -> None:
        self._stuck = frozenset(PurePosixPath(path).stem for path in waiting if kind_of(path) == "task")
        self._unread = frozenset(PurePosixPath(path).stem for path in waiting if kind_of(path) == "agent")
        self._found = found
        self._original: Mapping[str, File] = found.files
        self.before = require_format(self._held(board_of(refs.head, found)))
        self.refs = refs
        self.by = by
        self.now = now
        self.waiting = waiting
        """Hand edits that can't be read yet, by path; their records are not to be written."""
        self.written: dict[str, bytes | None] = {}
        """The new bytes of each file that differs, None for a removed one."""
        self.found: dict[str, str | None] = {}
        """What the working copy of a file is where it is not what the head has: a hand edit's blob."""
        self.renamed: dict[str, tuple[str, str]] = {}
        """Where each file that got another name went, and the blob it was under the old one."""
        self.moves: list[Move] = []
        """Refs to move in the same step as the branch."""
        self.joined: Joined | None = None
        """A commit that is merged into the board's branch in this transaction."""
        self.arrived = self.before
        """The board before anything was changed here: with a joined commit, as the merge has it."""
        self._files = dict(found.files)
        self.objects = objects
        self._board = self.before
        self._number: int | None = None

    @property
    def board(self) -> Board:
        """The board with everything that was changed so far."""
        return self._board

    @property
    def paths(self) -> list[str]:
        """Every record file, as the draft has them."""
        return sorted(path for path, file in self._files.items() if file[1])

    def _assemble(self) -> Board:
        """The board of the files as they are now."""
        return self._held(assemble(self.refs.head, self._files, lambda: self._found.briefs))

    def _held(self, board: Board) -> Board:
        """The board, with the tasks held and the agents not woken whose hand edit can't be read."""
        if not (self._stuck or self._unread):
            return board
        return replace(board, held=board.held | self._stuck, unread=self._unread)

    @property
    def heads(self) -> list[str]:
        """What the commit of this draft has behind it: the branch's head, and a commit joined with it."""
        return [head for head in (self.refs.head, self.joined and self.joined.theirs) if head]

    @property
    def is_forward(self) -> bool:
        """Whether the branch only has to move to the joined commit."""
        return self.joined is not None and self.joined.is_forward and not self.written

    @property
    def stamp(self) -> str:
        return times.stamp(self.now.replace(microsecond=0))

    def keep(self, data: bytes) -> None:
        """Have these bytes in the object store, so that a merge can be made from them later."""
        self.objects.write("blob", data)

    def token(self) -> str:
        """Four random characters, for names that must differ."""
        return "".join(secrets.choice(_TOKEN) for _ in range(4))

    def task(self, ref: str) -> Task:
        """The task that `ref` means, as it stands now. Raises NotFound, Usage, or Invalid if unreadable."""
        known = self.board.tasks.rows.keys() | self.board.held
        name = ids.resolve(ref, known)
        stuck = next((path for path in self.waiting if PurePosixPath(path).stem == name), None)
        if stuck is not None:
            self.require_readable(stuck)
        return self.board.task(name)

    def record(self, path: str, kind: type[R]) -> R | None:
        """The record at a path as it stands now; None where there is none that can be read."""
        file = self._files.get(path)
        return kind.from_row(path, file[2]) if file and file[2] is not None else None

    def text(self, path: str) -> bytes:
        """A file's bytes as they stand now. Raises NotFound."""
        if path in self.written:
            data = self.written[path]
        else:
            file = self._files.get(path)
            data = self.objects.blob(file[0]) if file else None
        if data is None:
            raise NotFound(f"{path} does not exist on the board.")
        return data

    def put(self, record: R) -> R:
        """Write the fields in which a record differs from its file, touching only their lines."""
        self.require_readable(record.path)
        return self.follow(record)

    def follow(self, record: R) -> R:
        """Like `put`, for what follows from a change: it also reaches a record whose hand edit waits."""
        file = self._files.get(record.path)
        if file is None or file[2] is None:
            raise NotFound(f"{record.path} is no record on this board.")
        old = RECORDS[record.kind].from_row(record.path, file[2]).fields()
        new = record.fields()
        changes = {key: new.get(key) for key in (*old, *new) if old.get(key) != new.get(key)}
        if changes:
            self.write(record.path, codec.edit(record.path, self.text(record.path), changes))
        return record

    def create(self, record: R, body: str) -> R:
        """A new file for a record that has its path."""
        if record.path in self._files:
            raise Invalid(f"{record.path} exists already.")
        self.write(record.path, codec.new_file(record, body))
        return record

    def write(self, path: str, data: bytes) -> None:
        """Set a whole file. Raises Invalid where its text can't be read as what it must be."""
        row = codec.row(path, data)
        if row.kind and row.fields is None:
            line, reason, _ = row.remarks[0]
            raise Invalid(f"{path}:{line}: {reason}")
        self.written[path] = data
        if kind_of(path):
            self._set(path, (self.blob_id(data), row.kind, row.fields, row.remarks, None))

    def adopt(self, path: str, data: bytes | None, base: str | EllipsisType | None = ...) -> None:
        """Take a hand edit: the working file's bytes, or None where it was deleted.

        `base` is the blob the file came from, where that is not the head's; then the two are merged.
        """
        self.found[path] = self.objects.write("blob", data) if data is not None else None
        if data is None:
            self._forget(path)
            return
        if base is not ... and path in self._files:
            root = self.objects.blob(base) if base else None
            data = merging.readable(path, root, data, self.text(path)) or data
        self.write(path, data)

    def adopt_again(self, old: str, path: str, data: bytes, base: str) -> None:
        """Take a save under the old name of a file that is at `path` now; `base` is the blob it was then."""
        self.found[old] = self.objects.write("blob", data)
        self.written[old] = None
        self.renamed[old] = (path, base)
        now = self.text(path)
        merged = merging.readable(path, self.objects.blob(base), data, now)
        if merged is not None and merged != now:
            self.write(path, merged)

    def remove(self, path: str) -> None:
        self.require_readable(path)
        self._forget(path)

    def _forget(self, path: str) -> None:
        self.written[path] = None
        self._set(path, None)

    def _set(self, path: str, file: File | None) -> None:
        """One record file as it is from now on."""
        if file is None:
            self._files.pop(path, None)
        else:
            self._files[path] = file
        self._board = with_file(self._board, path, file) or self._assemble()

    def rename(self, old: str, new: str, data: bytes | None = None) -> None:
        """Move a file as it is, or with these bytes."""
        before = self.text(old)
        self.renamed[old] = (new, self.blob_id(before))
        self.remove(old)
        self.write(new, before if data is None else data)

    def move_file(self, old: str, new: str, blob: str) -> None:
        """Move a file that is no record."""
        self.written |= {old: None, new: self.objects.blob(blob)}

    def join(self, joined: Joined, prefix: str) -> None:
        """Take the outcome of a merge as the ground on which everything else is written.

        Nothing may have been written before. Files come as they are, readable or not.
        """
        assert not self.written and self.joined is None
        for full, entry in joined.files.items():
            path = full.removeprefix(prefix)
            if full.startswith(prefix) and kind_of(path):
                self._take(path, entry)
        self.joined = joined
        self.arrived = self._board = require_format(self._assemble())

    def _take(self, path: str, entry: Entry | None) -> None:
        if entry is None or entry.mode not in (FILE, EXECUTABLE):
            self._files.pop(path, None)
        else:
            row = codec.row(path, self.objects.blob(entry.oid))
            self._files[path] = (entry.oid, row.kind, row.fields, row.remarks, None)

    def has(self, path: str) -> bool:
        """Whether a file stands where a record could."""
        return path in self._files

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What an error ends in this block has not happened."""
        kept = dict(self.written), dict(self.found), list(self.moves), dict(self._files)
        board, number = self._board, self._number
        try:
            yield
        except AgentOSError:
            self.written, self.found, self.moves, self._files = kept
            self._board, self._number = board, number
            raise

    def next_task(self, title: str) -> str:
        """A fresh task identity for a title: the next number, and a slug."""
        if self._number is None:
            talked_of = {path.split("/")[2] for path in self.board.messages}
            self._number = ids.next_number(self.board.tasks.rows.keys() | self.board.held | talked_of)
        name = ids.task_id(self._number, ids.slugify(title, fallback=self.token()))
        self._number += 1
        return name

    def claim(self, task: str) -> Claim:
        """Who holds a task; nobody's run is empty."""
        oid = self.refs.claims.get(task)
        return parse_claim(task, self.objects.blob(oid) if oid else b"")

    def release(self, task: str) -> None:
        """Give the claim on a task back, in the same step."""
        oid = self.refs.claims.get(task)
        if oid is not None:
            self.moves.append(Move(claim_ref(task), oid, None))

    def blob_id(self, data: bytes) -> str:
        return blob_id(data, self.objects.algorithm)

    def blob_before(self, path: str) -> str | None:
        """The blob a record file had, or None where it was none."""
        file = self._original.get(path)
        return file[0] if file else None

    def update(self, snapshot: Snapshot, tree: str) -> None:
        """Bring a snapshot to what was published, so that the next reader finds it in the cache."""
        if self.joined:
            return
        for path in self.written:
            if kind_of(path):
                snapshot.set(path, self._files.get(path))
        snapshot.at(tree)

    def require_readable(self, path: str) -> None:
        """Raises Invalid where the working copy of a file is a hand edit that can't be read yet."""
        problem = self.waiting.get(path)
        if problem:
            raise Invalid(f"{problem}. Mend the file, then try again.")
