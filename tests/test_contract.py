"""The command line as the contract lists it: every command is there, reads as JSON, and has an example."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from agentos.cli.main import app

CONTRACT = """
init import tick run board log undo review approve reject pr sync doctor render schema demo inbox
cron: install show remove
task: add list show edit move assign block unblock check archive explain
agent: add list show pause resume approve remove
message: add list react
doc: add list show edit history diff share
runs: list show tail replay
"""
"""DESIGN.md, section 10, but for `plan`, `search` and `stats`, which come with planning, memory and metrics."""

WRITERS = """
init run demo undo approve reject pr, cron install remove, runs record, message add react, doc add edit share,
task add archive assign block check edit move unblock, agent add approve pause remove resume
"""
"""What only writes; `render` and `schema` print what is no list of records."""


def commands() -> dict[str, Any]:
    """Every command by what is typed for it."""

    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        names = command.list_commands(None) if hasattr(command, "list_commands") else []
        if not names:
            yield path.strip(), command
        for name in names:
            yield from walk(f"{path} {name}", command.get_command(None, name))

    return dict(walk("", typer.main.get_command(app)))


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return commands()


def test_every_command_of_the_contract_is_there(known: dict[str, Any]) -> None:
    wanted = set()
    for line in CONTRACT.strip().splitlines():
        group, _, names = line.rpartition(":")
        wanted |= {f"{group} {name}".strip() for name in names.split()}
    assert wanted - known.keys() == set()


def test_every_command_has_an_example(known: dict[str, Any]) -> None:
    assert {name for name, command in known.items() if "Example: agentos" not in (command.help or "")} == {
        "tick"
    }
    assert "Example: */5 * * * * cd ~/project && agentos tick" in known["tick"].help


def test_everything_that_reads_takes_json(known: dict[str, Any]) -> None:
    without = {name for name, c in known.items() if not any("--json" in p.opts for p in c.params)}
    writers = set()
    for line in WRITERS.replace("\n", " ").split(","):
        first, *rest = line.split()
        writers |= {first, *rest} if first in known else {f"{first} {name}" for name in rest}
    assert without == writers | {"render", "schema"}
