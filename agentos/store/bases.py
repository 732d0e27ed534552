"""Bases: the version a working file came from, where that is not what the branch has.

It is so when the branch moved on while a person's file could not be touched: unreadable at that moment, or
staged. Once the file is mended, its edits are merged from there.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from agentos.store.objects import sync_folder, write_durably


def load(folder: Path) -> dict[str, str | None]:
    """The blob that each such file came from (None: no file), by its path from the repository's top."""
    try:
        data = json.loads((folder / "base" / "files.json").read_bytes())
        return {str(path): blob for path, blob in data.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def save(folder: Path, bases: Mapping[str, str | None]) -> None:
    """Keep them, durably; no file where there are none."""
    file = folder / "base" / "files.json"
    if not bases:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".new")
    write_durably(partial, json.dumps(bases).encode())
    partial.replace(file)
    sync_folder(file.parent)
