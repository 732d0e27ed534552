"""The argument that names a run, and a line of its log as people read it."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from agentos.cli import context
from agentos.model import ids
from agentos.runtime import runlog
from agentos.store.repository import Store

Ref = Annotated[
    str | None, typer.Argument(help="Any unique part of the run's name; the last one without it.")
]

MOST = 200
"""Characters of a value in one line."""


def find(store: Store, ref: str | None) -> str:
    """The run that is meant. Raises NotFound and Usage."""
    names = sorted(runlog.names_in(runlog.folder(store.local)))
    return names[-1] if names and ref is None else ids.resolve(ref or "the last one", names, "runs")


def line(said: Mapping[str, Any]) -> str:
    """`10:30:05  command  argv=["pytest"] code=0`."""
    rest = {key: value for key, value in said.items() if key not in ("at", "kind")}
    values = " ".join(f"{key}={_short(value)}" for key, value in rest.items())
    return context.clean(f"{str(said.get('at', ''))[11:19]}  {said.get('kind', '')}  {values}")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST else f"{text[:MOST]}…"
