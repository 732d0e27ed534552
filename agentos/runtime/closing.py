"""Closing: the one commit in which a run ends: what it came to, what it cost, and its claim given back."""

import hashlib
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from agentos.actions import messages, tasks
from agentos.errors import AgentOSError, Conflict
from agentos.model import times
from agentos.model.activity import BUDGET, NEAR, events, sentence
from agentos.runtime import attempts, regression, secrets, workspace
from agentos.runtime import outbox as o
from agentos.runtime import settle as settling
from agentos.runtime.attempts import Next
from agentos.runtime.beats import Beat
from agentos.runtime.failures import Cancelled, ChecksFailed, Same
from agentos.runtime.job import Job, is_still_due
from agentos.runtime.outbox import Outbox
from agentos.runtime.runlog import cut
from agentos.runtime.workspace import Handed, Workspace
from agentos.store import claims
from agentos.store.draft import Draft
from agentos.store.transaction import Result, transact

T = TypeVar("T")

PATIENCE, PAUSE = 120.0, 1.0
"""Seconds for which a finished run waits while git is in the middle of a merge, and between two looks."""

MOST_SAID = 2000
"""Characters of a failure's words that are kept on the board."""

Trailers = list[tuple[str, str]]


def settle(
    job: Job,
    outbox: Outbox,
    handed: Handed | None,
    tip: str,
    is_unconfined: bool,
    mark: Callable[[Draft], None] = lambda draft: None,
) -> Beat:
    """Apply what a run proposes and give its claim back, in one commit.

    `tip` is the commit that a review was about, if any; `mark` marks what the agent has read, where there is
    a commit about the task anyway. Raises Gone, Cancelled, ChecksFailed and Same.
    """
    shown = _verdict(job, outbox, tip) if job.work.is_review else _evidence(job, outbox, handed)
    refused: list[str] = []
    follows, stopped = _stopped(job, outbox)

    def decide(draft: Draft) -> None:
        name = claims.require(draft, job.claim)
        if job.work.is_review and regression.is_one(job, draft.task(name), outbox, tip):
            regression.report(draft, draft.task(name), outbox, job.store.branch)
        elif is_still_due(draft.task(name), job.work):
            refused[:] = _apply(draft, name, job, outbox, handed, has_diff=bool(shown), is_kept=bool(tip))
            if follows.blocked:
                tasks.block(draft, name, follows.blocked)
        elif job.meter.total.tokens:
            raise Cancelled(f"{name} has moved on meanwhile.")
        if job.meter.total.tokens and not draft.written:
            messages.note(draft, name, "Worked on this; there is nothing to report.")
        if draft.written:
            mark(draft)
        draft.release(name)

    trailers = [*_trailers(job, is_unconfined), *shown, *stopped, *_marks(job)]
    result = _patiently(lambda: transact(job.store, decide, job.by, trailers=trailers))
    if stopped:
        text, more = str(outbox.stopped), {"kind": stopped[0][1]}
    else:
        text, more = sentence(events(result.changes)), {}
    outcome = "failed" if stopped else "settled"
    _close(job, outcome, text, refused=refused, **more)
    again = times.stamp(follows.at) if follows.at else ""
    is_blocked = bool(follows.blocked)
    return Beat(job.agent.name, job.task.id, outcome, job.claim.run, result.commit, text, again, is_blocked)


def _stopped(job: Job, outbox: Outbox) -> tuple[Next, Trailers]:
    """What follows where a guard has ended the work: a failed try, though what it proposed is applied."""
    if outbox.stopped is None or job.work.is_review:
        return Next(), []
    kind, now = outbox.stopped.kind, job.store.clock()
    follows = attempts.next_of(kind, str(outbox.stopped), None, job.history, now, job.claim.run)
    return follows, _failure(kind, follows, now)


def _failure(kind: str, follows: Next, now: datetime) -> Trailers:
    """The kind of a failure, and when the next try may be."""
    rest = [("Retry-At", times.stamp(follows.at))] if follows.at and follows.at > now else []
    return [("Failure", kind), *rest]


def _apply(
    draft: Draft, name: str, job: Job, outbox: Outbox, handed: Handed | None, *, has_diff: bool, is_kept: bool
) -> list[str]:
    """The outbox, and a person called for where checks have failed too often; gives what was left out."""
    refused = settling.apply(
        draft,
        name,
        outbox,
        job.agent,
        is_review=job.work.is_review,
        is_answer=job.work.is_answer,
        has_diff=has_diff,
        is_kept=is_kept,
        left=handed.left_out if handed else (),
        known=secrets.named(job.env),
    )
    if _has(outbox, o.SendBack):
        follows = attempts.next_of("checks", "", None, job.history, job.began, job.claim.run)
        if follows.blocked:
            tasks.block(draft, name, follows.blocked)
    return refused


def _has(outbox: Outbox, kind: type) -> bool:
    return any(isinstance(action, kind) for action in outbox.actions)


def _verdict(job: Job, outbox: Outbox, tip: str) -> Trailers:
    """What a review said, bound to the commit it was about."""
    if _has(outbox, o.SendBack):
        said = [("Verdict", "failed"), ("Failure", "checks")]
    else:
        said = [("Verdict", "approved" if _has(outbox, o.Approve) else "seen")]
    return [*said, *([("Commit", tip)] if tip else [])]


def fail(
    job: Job, error: AgentOSError, saved: str | None, is_unconfined: bool, patience: float = PATIENCE
) -> Beat:
    """Settle a run that came to nothing: its cost, its try, and what follows; the claim goes back with it.

    Raises Conflict where git is in the middle of something for longer than `patience` seconds.
    """
    kind = getattr(error, "kind", "failed")
    said = cut(" ".join(secrets.redact(str(error), job.env.values()).split()), MOST_SAID)
    now = job.store.clock()
    follows = attempts.next_of(kind, said, getattr(error, "after", None), job.history, now, job.claim.run)
    if not job.meter.total.tokens and not follows.blocked and kind in ("cancel", "budget"):
        claims.drop(job.store, job.claim)
        _close(job, "passed", said)
        return passed(job, said, follows.at)
    trailers = [*_trailers(job, is_unconfined), *_failure(kind, follows, now), *_marks(job)]

    def decide(draft: Draft) -> None:
        _failed(draft, job, said, follows, saved)

    result = _patiently(lambda: transact(job.store, decide, job.by, trailers=trailers), patience)
    _close(job, "failed", said, kind=kind, saved=saved)
    again = times.stamp(follows.at) if follows.at else ""
    is_blocked = bool(follows.blocked)
    return Beat(job.agent.name, job.task.id, "failed", job.claim.run, result.commit, said, again, is_blocked)


def passed(job: Job, why: str, again: datetime | None = None) -> Beat:
    """The beat of a run that had nothing to do now; nothing is committed."""
    moment = times.stamp(again) if again else ""
    return Beat(job.agent.name, job.task.id, "passed", job.claim.run, text=why, again=moment)


def _failed(draft: Draft, job: Job, said: str, follows: Next, saved: str | None) -> None:
    """What the board says of a failed run: blocked with what is wanted, or when the next try may be."""
    try:
        name, is_ours = claims.require(draft, job.claim), True
    except claims.Gone:
        name, is_ours = job.task.id, False
    task = draft.board.tasks.get(name)
    if follows.blocked and is_ours and task is not None and is_still_due(task, job.work):
        tasks.block(draft, name, follows.blocked)
    when = f" The next try is at {times.stamp(follows.at)} or after." if follows.at else ""
    kept = f" Its work is kept in {saved}." if saved else ""
    messages.note(draft, name, f"This run came to nothing: {ended(said)}{when}{kept}")
    if is_ours:
        draft.release(name)


def ended(said: str) -> str:
    """What somebody else said, as a sentence that another one can follow."""
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def _patiently(act: Callable[[], Result[T]], patience: float = PATIENCE) -> Result[T]:
    """Try again while git is in the middle of something: a finished run is worth a wait."""
    until = time.monotonic() + patience
    while True:
        try:
            return act()
        except claims.Gone:
            raise
        except Conflict:
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE)


def _close(job: Job, outcome: str, text: str, **more: Any) -> None:
    """What the ledger and the run's log keep of it."""
    now, total = job.store.clock(), job.meter.total
    job.ledger.settle(job.claim.run, now)
    usage = {"input_tokens": total.input_tokens, "output_tokens": total.output_tokens, "usd": total.usd}
    job.log.say(outcome=outcome, text=text, end=times.stamp(now), usage=usage, **more)


def _trailers(job: Job, is_unconfined: bool) -> Trailers:
    total = job.meter.total
    found = [("Run", job.claim.run), ("Run-Task", job.task.id), ("Runner", job.runner)]
    found += [("Model", job.meter.model)] if total.tokens and job.meter.model else []
    found += [("Tokens", str(total.tokens))] if total.tokens else []
    found += [("Cost-USD", f"{total.usd:.6f}")] if total.usd is not None else []
    return found + ([("Sandbox", "off")] if is_unconfined else [])


def _marks(job: Job) -> Trailers:
    """For each cap of which this run has passed the mark: who can still do something about it reads it."""
    found: Trailers = []
    for cap in job.meter.near():
        found += [("Event", f"{NEAR} {cap.agent or 'board'}"), (BUDGET, str(cap))]
    return found


def _evidence(job: Job, outbox: Outbox, handed: Handed | None) -> Trailers:
    """The evidence of work that is handed in, bound to its commit; empty where there is none.

    Raises Same where the very same difference was handed in before.
    """
    if handed is None or handed.is_empty or not _has(outbox, o.Submit):
        return []
    digest = hashlib.sha256(handed.change).hexdigest()[:16]
    if digest in attempts.handed_in(job.history):
        raise Same("The very same change was handed in before and sent back.")
    return [("Commit", handed.commit), ("Diff", digest)]


def vet(job: Job, patch: bytes) -> None:
    """Look at a change before any branch has it. Raises ChecksFailed for a secret in what it adds."""
    lines = patch.decode(errors="replace").split("\n")
    added = "\n".join(line[1:] for line in lines if line.startswith("+"))
    found = secrets.find(added, secrets.named(job.env))
    if found:
        raise ChecksFailed(f"The change holds a secret ({found[0]}); take it out.")


def told(job: Job, place: Workspace) -> dict[str, Any]:
    """What a prompt says beyond the board: the last note, the last checks, and for a reviewer the change."""
    said = [m for m in job.board.messages_of(job.task.id) if m.type == "status_update"]
    checkers = {a.name for a in job.board.agents.values() if a.agentos.runner == "checks"}
    own = [message for message in said if message.author == job.agent.name]
    checked = [message for message in said if message.author in checkers]
    change = b""
    if job.work.is_review and place.tip:
        change = workspace.diff(job.store, place.base, place.tip)
    return {
        "handoff": job.store.body(own[-1]) if own else "",
        "checks": job.store.body(checked[-1]) if checked else "",
        "diff": change.decode(errors="replace"),
        "is_review": job.work.is_review,
        "is_answer": job.work.is_answer,
    }
