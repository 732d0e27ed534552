"""The words that names and fields are made of; light, so that git's merge driver starts fast."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any


class Status(StrEnum):
    """The five columns of the board, in order."""

    INBOX = "inbox"
    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    REVIEW = "review"
    DONE = "done"


class Resolution(StrEnum):
    """Why a task is done."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"


is_numbered = re.compile(r"TASK-[0-9]+-.+", re.DOTALL).fullmatch
"""Whether a file's name is a task's; `task_number` gives the number."""


def task_number(name: str) -> int | None:
    """The number in a task's file name, or None where the name is not a task's."""
    end = name.find("-", 5)
    if not name.startswith("TASK-") or end < 0 or end + 1 == len(name):
        return None
    digits = name[5:end]
    return int(digits) if digits.isascii() and digits.isdigit() else None


def is_archived(path: str) -> bool:
    """Whether a task's file was put away, long after it was closed."""
    return path.startswith("board/archive/")


def kind_of(path: str) -> str | None:
    """The kind of record that lives at this path from the board's root, or None.

    A file under `agents/` or `docs/` is a record only if its fields say so; this names the candidate.
    """
    if path.rpartition("/")[2].startswith(".") or not (path.isascii() or _is_text(path)):
        return None
    match path.split("/"):
        case ["board", "config.yml"]:
            return "config"
        case ["board", "tasks", name] if name.endswith(".md"):
            return "task"
        case ["board", "archive", _, name] if name.endswith(".md"):
            return "task"
        case ["board", "messages", _, name] if name.endswith(".md"):
            return "message"
        case ["board", "inbox", name] if name.endswith(".md"):
            return "inbox"
        case ["agents", name] if name.endswith(".md"):
            return "agent"
        case ["docs", *_, name] if name.endswith(".md"):
            return "document"
        case _:
            return None


def _is_text(path: str) -> bool:
    """Whether a path is UTF-8; one that is not can't be a record's."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_record(kind: str, path: str, fields: Mapping[str, Any]) -> bool:
    """Whether a readable file of this candidate kind is a record (see DESIGN.md, section 2)."""
    if kind == "agent":
        return fields.get("name") == PurePosixPath(path).stem
    if kind == "document":
        return "type" in fields
    return True


def capability(text: str) -> str:
    """A need or a capability as the two are compared: in lower case, dashes for spaces, in any script."""
    return "-".join(text.casefold().split())


def lines(text: str) -> list[str]:
    """The lines of a text with their ends; only a line feed ends one, as in Markdown and YAML files."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
