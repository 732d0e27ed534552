"""Records that git merged without the driver: committed conflict markers become a merge after all."""

from collections.abc import Sequence

from agentos.errors import Invalid
from agentos.model import conflicts
from agentos.model.board import Board
from agentos.store import frontmatter, markers
from agentos.store.draft import Draft
from agentos.store.git import Git
from agentos.store.objects import Objects
from agentos.store.rows import MARKERS


def marked(board: Board) -> list[str]:
    """The committed files that have conflict markers in them."""
    return sorted({problem.path for problem in board.problems if problem.reason == MARKERS})


def merge_marked(git: Git, objects: Objects, draft: Draft, prefix: str, is_certain: bool) -> list[str]:
    """Merge the sides of each such file; gives what was done, and what could not be, in words.

    With `is_certain` only those whose version before both sides is known, from a merge commit.
    """
    said = []
    head = draft.refs.head
    for path in marked(draft.board) if head else ():
        if path in draft.waiting:
            continue
        base = markers.base(git, objects, str(head), prefix + path)
        if base is None and is_certain:
            continue
        data = markers.merged(path, draft.text(path), base)
        try:
            if data is None:
                raise Invalid("the two sides can't be told apart or read")
            draft.write(path, data)
        except Invalid as error:
            said.append(f"{path} keeps its conflict markers: {error}. Edit the file.")
        else:
            said.append(f"{path}: both sides of the conflict are merged{_left(path, data)}.")
    return said


def _left(path: str, data: bytes) -> str:
    page = frontmatter.split(path, data)
    left: Sequence[object] = [*conflicts.unsettled(page.fields()), *conflicts.clashes(page.body)]
    return f"; {len(left)} left to settle: agentos settle {path}" if left else ""
