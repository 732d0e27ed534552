"""What a tick merges or hears of: work that passed its checks, and pull requests that were decided on."""

from agentos.actions import judgement, pulls
from agentos.actions.forges import Access
from agentos.errors import AgentOSError
from agentos.model.activity import Actor
from agentos.model.board import Board
from agentos.model.records import Task
from agentos.model.words import Status
from agentos.store import branches, runs
from agentos.store.repository import Store

CHECKS = "checks"
"""The runner whose word merges, and the word in the config that lets it."""


def judged(store: Store, access: Access | None, by: Actor) -> list[str]:
    """Merge what has passed, and ask about pull requests where there are any; gives notes."""
    board = store.board()
    asked = pulls.waiting(board)
    return passed(store, board) + (pulls.follow(store, asked, access, by) if asked else [])


def passed(store: Store, board: Board) -> list[str]:
    """Merge what the runner `checks` saw pass, where the config leaves it to that; gives notes."""
    if board.config.merge != CHECKS:
        return []
    notes = []
    for task in board.open_tasks:
        if task.status is Status.REVIEW and not task.blocked:
            try:
                notes += _merge(store, task)
            except AgentOSError as error:
                notes.append(f"{task.short} was not merged: {error}")
    return notes


def _merge(store: Store, task: Task) -> list[str]:
    branch = branches.of(store, task.id)
    if branch is None or branch.is_merged:
        return []
    of_it = runs.verdicts(runs.of_task(store, task), branch.commit)
    last = next((run for run in of_it if run.verdict == "failed" or run.runner == CHECKS), None)
    if last is None or last.verdict != "approved":
        return []
    judgement.approve(store, task.id, Actor(last.agent, is_agent=True), commit=branch.commit)
    return [f"{task.short}: passed its checks and was merged."]
