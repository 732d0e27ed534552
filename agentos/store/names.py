"""Old names: where a file went that got another name, for the editor that saves it again under the old one.

It is local to a clone; losing it makes such a save a file of its own.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

from agentos.model import times
from agentos.model.words import lines
from agentos.store.objects import sync_folder, write_durably

KEPT = timedelta(days=1)
"""For how long an old name is remembered."""

ALIKE = 0.5
"""The share of lines that a save must have in common with the file it was, to be that file again."""


class Gone(NamedTuple):
    """Where a file went (its path from the board's root), the blob it was then, and when it is forgotten."""

    path: str
    blob: str
    until: str


def load(folder: Path, now: datetime) -> dict[str, Gone]:
    """What is still remembered, by old path; nothing where it can't be read.

    The caller holds the board's lock: what a killed process left half written is taken away.
    """
    (folder / "base" / "names.new").unlink(missing_ok=True)
    try:
        data = json.loads((folder / "base" / "names.json").read_bytes())
        found = {str(old): Gone(*map(str, gone)) for old, gone in data.items()}
        return {old: gone for old, gone in found.items() if times.parse(gone.until) > now}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def keep(folder: Path, renamed: Mapping[str, tuple[str, str]], now: datetime) -> None:
    """Remember these too, durably: old path to new path and the blob under the old one."""
    until = times.stamp((now + KEPT).astimezone(UTC))
    fresh = {old: Gone(path, blob, until) for old, (path, blob) in renamed.items()}
    file = folder / "base" / "names.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".new")
    write_durably(partial, json.dumps(load(folder, now) | fresh).encode())
    partial.replace(file)
    sync_folder(file.parent)


def follow(gone: Mapping[str, Gone], path: str) -> Gone | None:
    """Where the file under an old name is now, with the blob it was under that name."""
    first = last = gone.get(path)
    for _ in range(len(gone)):
        if last is None or last.path not in gone:
            break
        last = gone[last.path]
    return Gone(last.path, first.blob, first.until) if first and last else None


def is_again(data: bytes, before: bytes) -> bool:
    """Whether a save under an old name is that file again, and not another that happens to be called so."""
    old, new = (lines(text.decode(errors="replace")) for text in (before, data))
    return SequenceMatcher(None, old, new, autojunk=False).ratio() >= ALIKE
