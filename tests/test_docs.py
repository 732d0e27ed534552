"""The examples in README and docs run as they stand, and the generated page is the current one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentos.model.records import AgentSettings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_EXAMPLES = [page for page in PAGES if "```console" in page.read_text()]


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Each `$ command` of a page's console blocks, with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def same(expected: str, printed: str) -> bool:
    """Whether a line is as the page shows it; `…` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), printed) is not None


def test_links_lead_somewhere_and_no_two_decisions_have_one_number() -> None:
    numbers = [file.name[:4] for file in (ROOT / "docs/decisions").glob("*.md")]
    assert sorted(numbers) == sorted(set(numbers))
    for page in [*PAGES, *(ROOT / "docs/decisions").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run_as_they_stand(page: Path, tmp_path: Path, template: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {"HOME": os.environ["HOME"], "PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    for command, expected in commands(page):
        done = subprocess.run(
            ["bash", "-c", f"{command} 2>&1"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        printed = done.stdout.rstrip("\n").split("\n") if done.stdout else []
        if expected and expected[-1] == "…":
            expected, printed = expected[:-1], printed[: len(expected) - 1]
        assert len(printed) == len(expected), f"$ {command}\n{done.stdout}"
        for line, shown in zip(expected, printed, strict=True):
            assert same(line, shown), f"$ {command}\nexpected {line!r}\nprinted  {shown!r}"


def test_the_command_reference_is_current() -> None:
    """`make docs` makes it anew."""
    sys.path.insert(0, str(ROOT / "docs"))
    import build

    assert (ROOT / "docs" / "commands.md").read_text() == build.reference()


def test_every_command_line_of_the_agents_page_is_one_that_live_cli_runs() -> None:
    sys.path.insert(0, str(ROOT / "tests/live"))
    import coding_cli

    shown = coding_cli.templates()
    assert sorted(shown) == sorted(tool.program for tool in coding_cli.TOOLS)
    for tool in coding_cli.TOOLS:
        settings = AgentSettings.model_validate(shown[tool.program])
        assert settings.runner == "command" and settings.command and settings.network
        assert settings.env == (tool.key,)


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_test_that_holds_a_promise_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    for file, test in named:
        assert (ROOT / file).exists(), file
        assert not test or f"\ndef {test}(" in (ROOT / file).read_text(), f"{file}::{test}"
