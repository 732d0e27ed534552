"""The person's objects, which a private clone borrows or has copies of."""

import os
from pathlib import Path

from agentos.errors import AgentOSError
from agentos.store.repository import Store

TRIES = 10
"""How often objects are copied that somebody packs meanwhile."""


def folders(store: Store) -> tuple[Path, ...]:
    """The folders that hold the person's objects: the repository's own and those it borrows from."""
    found: dict[Path, None] = {}
    waiting = [store.git.common_dir / "objects"]
    while waiting:
        folder = Path(os.path.realpath(waiting.pop()))
        if folder in found or not folder.is_dir():
            continue
        found[folder] = None
        listed = folder / "info" / "alternates"
        lines = text(listed).splitlines()
        waiting += [folder / line for line in lines if line and not line.startswith("#")]
    return tuple(found)


def text(file: Path) -> str:
    """Empty where there is no such file."""
    try:
        return file.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ""


def copy(source: Path, target: Path) -> None:
    """Copies, not links, of all objects: what happens to them there happens there alone.

    Whoever packs meanwhile removes files that are in a new pack then: whatever goes, it is copied once more.
    """
    for _ in range(TRIES):
        if _is_copied(source, target):
            return
    raise AgentOSError(f"{source} is packed again and again; try again when git is done there.")


def _is_copied(source: Path, target: Path) -> bool:
    """Copy what is not there yet; False where something went meanwhile. `pack` comes last: it never lacks
    what was packed while the others were copied."""
    gone: list[OSError] = []
    for folder, inner, names in os.walk(source, onerror=gone.append):
        inner[:] = sorted(name for name in inner if name != "info")
        place = target / Path(folder).relative_to(source)
        place.mkdir(exist_ok=True)
        for name in names:
            if not name.startswith(("tmp_", ".tmp-")) and not (place / name).exists():
                try:
                    data = Path(folder, name).read_bytes()
                except FileNotFoundError as error:
                    gone.append(error)
                else:
                    (place / name).write_bytes(data)
    return not gone
