"""Rows: what is kept of one parsed file, as plain data."""

from typing import NamedTuple

MAX_FILE = 1 << 20
"""Bytes of the largest file that can be a record."""


def too_large(size: int) -> str:
    """Why a file of so many bytes is no record."""
    return f"the file has {size:,} bytes; a record has at most {MAX_FILE:,}"


MARKERS = "an unresolved merge conflict; agentos doctor --mend merges both sides"
"""What is wrong with a file that has git's conflict markers in it."""

Remark = tuple[int, str, bool]
"""A line, a reason, and whether the file is unreadable because of it."""


class Row(NamedTuple):
    """One file, parsed: `fields` (as JSON) is None where the file is no record or can't be read."""

    kind: str | None
    fields: bytes | None
    remarks: tuple[Remark, ...] = ()


NO_RECORD = Row(None, None)

SYMLINK: tuple[Remark, ...] = ((1, "is a symbolic link; a record is a plain file", True),)
