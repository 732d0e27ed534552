"""Looks: what each person was last shown of each task's work; local, and losing it costs one more look."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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
    looks = _load(local)
    mine = looks.get(person)
    looks[person] = (mine if isinstance(mine, dict) else {}) | {task: asdict(look)}
    local.mkdir(parents=True, exist_ok=True)
    partial = local / f"looks.{os.getpid()}"
    partial.write_text(json.dumps(looks))
    partial.replace(local / "looks.json")


def _load(local: Path) -> dict[str, Any]:
    try:
        found = json.loads((local / "looks.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
