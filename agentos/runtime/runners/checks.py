"""The checks runner: runs the checks among a task's acceptance criteria, and says what it saw."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentos.errors import NotFound
from agentos.model.markdown import Box, criteria
from agentos.runtime import secrets
from agentos.runtime.outbox import Action, Approve, Comment, Outbox, SendBack, Tick

if TYPE_CHECKING:
    from agentos.runtime.runners import Work

LONGEST = 1200.0
"""Seconds that one check may take."""

SHARE = 0.9
"""The part of what is left of a run that one check may take: the run can still say which did not end."""

MOST_OUTPUT, MOST_SHOWN = 64 << 10, 3000
"""Bytes of a check's output that are kept, and characters of it that are shown on the board."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one check came to: `code` is None where it was stopped or could not be started."""

    box: Box
    code: int | None
    output: str
    seconds: float

    @property
    def is_passed(self) -> bool:
        return self.code == 0


def run(work: "Work") -> Outbox:
    """Tick what passes, clear what does not; send the work back where anything failed.

    The criteria that are no checks are left to a reviewer: the work is passed only where every criterion is a
    check, or ticked.
    """
    boxes = criteria(work.body)
    seen = [_check(work, box) for box in boxes if box.check]
    ticks: list[Action] = [
        Tick(one.box.number, one.is_passed) for one in seen if one.is_passed is not one.box.is_ticked
    ]
    left = [box for box in boxes if not box.check and not box.is_ticked]
    failing = tuple(one.box.check for one in seen if one.box.check and not one.is_passed)
    return Outbox((*ticks, _verdict(seen, left, work.log.known)), failing=failing)


def _verdict(seen: Sequence[Seen], left: Sequence[Box], known: Sequence[str]) -> Action:
    """What the checks came to; a secret that one of them names or prints is redacted, so that it arrives."""
    failed = [one for one in seen if not one.is_passed]
    if failed:
        said = "\n\n".join([f"{len(failed)} of {len(seen)} checks fail.", *map(_shown, failed)])
        return SendBack(secrets.redact(said, known))
    lines = "\n".join(f"- `{one.box.check}` passes ({one.seconds:.1f} s)" for one in seen)
    passed = secrets.redact(lines, known)
    if not seen:
        return Comment("No criterion of this task is a check; a reviewer has to look.", type="status_update")
    if left:
        rest = secrets.redact("\n".join(f"- {box.text}" for box in left), known)
        return Comment(f"{passed}\n\nLeft for a reviewer:\n\n{rest}", type="status_update")
    return Approve(passed)


def _check(work: "Work", box: Box) -> Seen:
    """Run one check: its words as a command line, without a shell."""
    try:
        argv = shlex.split(box.check or "")
    except ValueError as error:
        return Seen(box, None, f"it can't be read as a command: {error}", 0.0)
    if not argv:
        return Seen(box, None, "it is empty", 0.0)
    try:
        within = min(LONGEST, work.left() * SHARE)
        ended = work.run_command(argv, timeout=within, limit=MOST_OUTPUT)
    except NotFound as missing:
        return Seen(box, None, str(missing), 0.0)
    work.log.write("check", command=box.check, code=ended.code, seconds=round(ended.seconds, 2))
    output = ended.output.decode(errors="replace")
    if ended.is_missing:
        output = f"There is no program {argv[0]!r} in the sandbox."
    return Seen(box, ended.code, output, ended.seconds)


def _shown(one: Seen) -> str:
    """A failed check with the end of its output, in a fence that the output can't close."""
    output = one.output[-MOST_SHOWN:].strip() or "(it printed nothing)"
    fence = "```"
    while fence in output:
        fence += "`"
    how = f"leaves with {one.code}" if one.code is not None else f"was stopped after {one.seconds:.0f} s"
    return f"`{one.box.check}` {how}:\n\n{fence}\n{output}\n{fence}"
