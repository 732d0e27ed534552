"""The argument that names a run, and a line of its log as people read it."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from agentos.cli import patches
from agentos.errors import NotFound
from agentos.model import ids
from agentos.runtime import runlog
from agentos.store.repository import Store

Ref = Annotated[
    str | None,
    typer.Argument(
        help="Any unique part of the run's name, or an agent: its last one; the last of all without it."
    ),
]

NONE = "No runs here yet; simulated ones keep no log."

MOST, MOST_LINES = 200, 20
"""Characters of a value in one line, and lines of a longer text; --json has all of it."""

_FIRST = ("command", "argv", "tool", "arguments", "said")
"""What is said first and by itself: it needs no name."""


def find(store: Store, ref: str | None) -> str:
    """The run that is meant. Raises NotFound and Usage."""
    names = sorted(runlog.names_in(runlog.folder(store.local)))
    if not names:
        raise NotFound(NONE)
    own = [name for name in names if ref in (None, _agent(name))]
    return own[-1] if own else ids.resolve(ref or "", names, "runs")


def _agent(run: str) -> str:
    """Whose run it is: `technical` for 20260202T103000Z-technical-k3f9."""
    return run.partition("-")[2].rpartition("-")[0]


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """`10:30:05  command  pytest -q  code=1`, and below it what is too long for one line."""
    values = {key: _text(key, value) for key, value in said.items() if key not in ("at", "kind")}
    short = {key: value for key, value in values.items() if "\n" not in value and len(value) <= MOST}
    words = [short[key] for key in _FIRST if key in short]
    words += [f"{key}={value}" for key, value in short.items() if key not in _FIRST]
    head = [str(said.get("at", ""))[11:19], str(said.get("kind", "")), *words]
    yield patches.visible("  ".join(word for word in head if word)).replace("\n", "^J").rstrip()
    for key, value in values.items():
        if key not in short:
            yield from _block(value)


def _text(key: str, value: Any) -> str:
    if key == "argv" and isinstance(value, list):
        return shlex.join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _block(text: str) -> Iterator[str]:
    """A longer text, moved in: its beginning and its end, where most of what matters stands."""
    rows = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if len(rows) > MOST_LINES:
        half = MOST_LINES // 2
        rows = [*rows[:half], f"… {len(rows) - 2 * half:,} more lines (--json has them) …", *rows[-half:]]
    for row in rows:
        cut = row if len(row) <= 5 * MOST else f"{row[: 5 * MOST]}…"
        yield f"          {patches.visible(cut)}".rstrip()
