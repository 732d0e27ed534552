"""Looks: what each person was last shown of each task's work; local, and losing it costs one more look."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agentos.store.lock import board_lock


@dataclass(frozen=True, slots=True)
class Look:
    """The commit that somebody was shown, and the base that its difference was shown against."""

    commit: str
    base: str


def last(local: Path, person: str, task: str) -> Look | None:
    """What somebody was last shown of a task."""
    try:
        return Look(**_load(local)[person][task])
    except (LookupError, TypeError):
        return None


def keep(local: Path, person: str, task: str, look: Look) -> None:
    """Remember what was shown."""
    with board_lock(local / "looks.lock"):
        looks = _load(local)
        mine = looks.get(person)
        looks[person] = (mine if isinstance(mine, dict) else {}) | {task: asdict(look)}
        partial = local / "looks.new"
        partial.write_text(json.dumps(looks))
        partial.replace(local / "looks.json")


def _load(local: Path) -> dict[str, Any]:
    try:
        found = json.loads((local / "looks.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
