"""The law of WORKING.md: for any board, what is written on the page means what commands would.

Two copies of one repository: on one a person edits the page, on the other the same is done by actions, in one
transaction as the save is one. The copies must agree after every round, while an agent changes the board of
both between the moment the page was opened and its save.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Clock, Scratch

from agentos.actions import tasks
from agentos.model.activity import Actor
from agentos.model.records import Task
from agentos.model.words import Status
from agentos.store.draft import Draft

TECHNICAL = Actor("technical", is_agent=True)
NAMES = ("technical", "qa", "ada-lovelace")
TITLES = (
    "Plain", "@qa - looks assigned", "Ends in a mark ✅", "[x] a box", "Two  spaces", "*stars* and `code`",
    "# hash: colon", "- dash", "❌ cancelled", "naïve 漢字", "a ✅ (simulated)",
)  # fmt: skip
ROUNDS = int(os.environ.get("AGENTOS_ROUNDS", "4"))

Edit = tuple[Callable[[str], str], Callable[[Draft], Any]]
"""What one edit does to the page, and the action that means the same."""


def a_task(draft: Draft, chance: random.Random) -> Task:
    return chance.choice([task for task in draft.board.tasks.values() if not task.is_archived])


def handle(name: str) -> str:
    return f"@{name}" if name == "ada-lovelace" else f"@agent:{name}:main"


def line_of(page: str, task: Task) -> str:
    return next(line for line in page.splitlines(keepends=True) if line.startswith(f"- [{task.short}] "))


def moved(page: str, task: Task, status: Status) -> str:
    line = line_of(page, task)
    return page.replace(line, "", 1).replace(f"### {status.name}\n", f"### {status.name}\n{line}", 1)


def rewritten(page: str, task: Task, who: tuple[str, ...], title: str) -> str:
    at = "".join(f"{handle(name)} " for name in who)
    return page.replace(line_of(page, task), f"- [{task.short}] {at}{'- ' if at else ''}{title}\n", 1)


def an_edit(task: Task, chance: random.Random, token: str, may_add: bool) -> Edit:
    """One edit of one line; only one a save may add a line, since the page numbers those in its own order."""
    kind = chance.choice(["move", "move", "retitle", "assign", "remove", *["add"] * may_add])
    if kind == "move":
        to = chance.choice(list(Status))
        return (lambda page: moved(page, task, to)), (lambda draft: tasks.move(draft, task.id, to))
    if kind == "retitle" and task.is_open:
        title = f"New words {token} for {task.short}"
        return (
            lambda page: rewritten(page, task, task.assignees, title),
            lambda draft: tasks.edit(draft, task.id, {"title": title}),
        )
    if kind == "assign" and task.is_open:
        who = tuple(sorted(chance.sample(NAMES, chance.randint(0, 2))))
        title = " ".join(task.title.split())
        return (
            lambda page: rewritten(page, task, who, title),
            lambda draft: tasks.assign(draft, task.id, merged(task.assignees, who)),
        )
    if kind == "add":
        status, title = chance.choice([Status.INBOX, Status.REVIEW]), f"Fresh {token}"
        return (
            lambda page: page.replace(f"### {status.name}\n", f"### {status.name}\n- {title}\n", 1),
            lambda draft: tasks.move(draft, tasks.add(draft, title).id, status),
        )
    return (lambda page: page.replace(line_of(page, task), "", 1)), (lambda draft: None)


def merged(before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
    """Assignees are a set: who stayed keeps the place, who came stands at the end."""
    return [name for name in before if name in after] + [name for name in after if name not in before]


def state(scratch: Scratch) -> dict[str, Any]:
    return {
        name: (task.title, task.status, task.assignees, task.resolution, task.priority, task.parent)
        for name, task in scratch.store.board().tasks.items()
    }


def both(pages: Scratch, commands: Scratch, decide: Callable[[Draft], Any], by: Actor | None = None) -> None:
    for scratch in (pages, commands):
        scratch.act(decide, by)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_page_means_what_commands_mean(template: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for name in ("pages", "commands"):
        shutil.copytree(template, tmp_path / name, symlinks=True)
    clock = Clock()
    pages, commands = Scratch(tmp_path / "pages", clock), Scratch(tmp_path / "commands", clock)

    def furnish(draft: Draft) -> None:
        for title in TITLES:
            tasks.add(draft, title)
        tasks.add(draft, "Child", parent="1")

    both(pages, commands, furnish)
    for number in range(ROUNDS):
        page, board = pages.read("WORKING.md"), pages.store.board()
        chosen = chance.sample(sorted(board.tasks), chance.randint(1, 4))
        edits = [an_edit(board.tasks[name], chance, f"{number}", i == 0) for i, name in enumerate(chosen)]
        if chance.random() < 0.5:
            other = chance.choice(sorted(board.tasks))
            level = chance.randint(1, 5)
            both(pages, commands, lambda d, o=other, p=level: tasks.edit(d, o, {"priority": p}), TECHNICAL)  # type: ignore[misc]
        for on_page, _ in edits:
            page = on_page(page)
        pages.write("WORKING.md", page)
        said = pages.act(lambda draft: None).notes
        commands.act(lambda draft, e=edits: [action(draft) for _, action in e])  # type: ignore[misc]
        assert not said
        assert state(pages) == state(commands), f"seed {seed}, round {number}"
        assert pages.git("status", "--porcelain") == ""
        clock.forward(minutes=1)
