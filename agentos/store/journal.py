"""The journal: what a transaction is about to do to the working tree and the index, on disk before it does.

Whatever step a process is killed at, the next transaction finds here whether the ref was moved. If it was,
the files and index entries are brought along; if not, nothing outside the object store was touched yet.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from agentos.store.objects import sync_folder, write_durably
from agentos.store.refs import Move


class Blobs(NamedTuple):
    """One file's blob before and after, and what its working copy is now; None where there is no file.

    The working copy differs from `before` where a person's edit is adopted in this very commit.
    A file that is no record has modes, octal as in a tree: the new one, and the one it had; such a file is
    never merged.
    """

    before: str | None
    after: str | None
    found: str | None
    mode: str = ""
    was: str = ""

    @property
    def is_foreign(self) -> bool:
        return bool(self.mode or self.was)


Paths = Mapping[str, Blobs]


@dataclass(frozen=True, slots=True)
class Entry:
    """One publication: the branch's old and new commit, and the files it changes in a worktree.

    `paths` are the files it changes, from the repository's top; `moves` the other refs that move with it.
    """

    branch: str
    old: str | None
    new: str
    worktree: str | None = None
    paths: Paths = field(default_factory=dict)
    moves: tuple[Move, ...] = ()


def write(path: Path, entry: Entry) -> None:
    """Make the entry durable."""
    partial = path.with_name(f"{path.name}.new")
    write_durably(partial, json.dumps(asdict(entry)).encode())
    partial.replace(path)
    sync_folder(path.parent)


def read(path: Path) -> Entry | None:
    """The entry left behind by a process that did not finish, or None."""
    try:
        data = json.loads(path.read_bytes())
        data["paths"] = {name: Blobs(*blobs) for name, blobs in data["paths"].items()}
        data["moves"] = tuple(Move(*move) for move in data.get("moves", ()))
        return Entry(**data)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None


def clear(path: Path) -> None:
    """The publication is complete."""
    path.unlink(missing_ok=True)
