"""Claims: an agent's hold on a task, a ref that is created only where there is none."""

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from agentos.errors import Conflict
from agentos.model import times
from agentos.store import refs, remote
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.refs import HELD, Claim, Move
from agentos.store.remote import Away, Push, Remote
from agentos.store.repository import Store


class Gone(Conflict):
    """A run's claim was taken away: it settles nothing."""


TRIES = 10
"""How often a claim is tried while others hold the ref's lock, each for at most a second."""


def run_id(agent: str, moment: datetime) -> str:
    """A name for one run: when, who, and four random digits; names sort as the runs began.

    The moment has milliseconds, since one agent may begin two runs in a second; names without them, from
    earlier versions, sort among the others.
    """
    return f"{times.compact(moment, 'milliseconds')}-{agent}-{secrets.token_hex(2)}"


def take(store: Store, claim: Claim, there: Remote | None = None) -> bool:
    """Claim a task; False where somebody else holds it. Git decides, so it needs no lock.

    With a remote the claim counts only once it is there as well: it is made here first, so that a sync never
    takes it for one that is over. Raises remote.Away, and nothing is claimed then.
    """
    objects = Objects(store.git)
    oid = objects.write("blob", claim.data)
    objects.flush()
    before = store.refs().held.get(claim.task) if there else None
    moves = [Move(claim.ref, None, oid)]
    if there is not None:
        moves.append(Move(HELD + claim.task, before, oid))
    if not _create(store, moves, f"claim by {claim.agent}"):
        return False
    objects.confirm()
    if there is None:
        return True
    try:
        is_refused = bool(there.push([Push(claim.ref, before, oid)]))
    except Away:
        _undo(store, claim, oid, before or oid)
        raise
    if is_refused:
        _undo(store, claim, oid, before)
    return not is_refused


def _create(store: Store, moves: Sequence[Move], why: str) -> bool:
    for _ in range(TRIES):
        try:
            refs.move(store.git, moves, why)
        except refs.Busy:
            continue
        except refs.Moved:
            return False
        return True
    return False


def _undo(store: Store, claim: Claim, oid: str, held: str | None) -> None:
    """Forget a claim that the remote did not take; where it may have, the next sync gives it back."""
    moves = [Move(claim.ref, oid, None), Move(HELD + claim.task, oid, held)]
    refs.move_each(store.git, [each for each in moves if each.old != each.new], "claim not taken")


def drop(store: Store, claim: Claim, there: Remote | None = None) -> bool:
    """Give a claim back without a commit, renewed or not; False where it is no longer ours.

    Where the remote is away the next sync gives it back there.
    """
    now = store.refs()
    oid, held = now.claims.get(claim.task), now.held.get(claim.task)
    runs = {each.task: each.run for each in store.claims()} if oid else {}
    if runs.get(claim.task) != claim.run or not _forget(store, claim.task, oid, "claim given back"):
        return False
    if there is not None and held is not None:
        with contextlib.suppress(Away, refs.Moved):
            there.push([Push(claim.ref, held, None)])
            refs.move(store.git, [Move(HELD + claim.task, held, None)], "claim given back")
    return True


def require_there(store: Store, claim: Claim) -> None:
    """Raises Gone where another machine may have the task: the claim has run out there, and is there no more.

    A task that was renamed meanwhile is left to the fence here.
    """
    held = store.refs().held.get(claim.task)
    there = remote.find(store) if held else None
    if held is None or there is None:
        return
    known = refs.parse_claim(claim.task, store.git.run("cat-file", "blob", held))
    if times.parse(known.expires) <= store.clock() and there.look().claims.get(claim.task) != held:
        raise Gone(f"The claim on {claim.task} ran out on {there.name}; run {claim.run} settles nothing.")


def drop_any(store: Store, task: str) -> bool:
    """Take a claim away from whoever has it; False where nobody does, or it changed hands just now."""
    return _forget(store, task, store.refs().claims.get(task), "claim expired")


def _forget(store: Store, task: str, oid: str | None, why: str) -> bool:
    if oid is None:
        return False
    try:
        refs.move(store.git, [Move(refs.claim_ref(task), oid, None)], why)
    except refs.Moved:
        return False
    return True


def renew(store: Store, claim: Claim, expires: datetime, there: Remote | None = None) -> Claim:
    """Hold a claim for longer. Raises Gone where it no longer is ours, so that the run can stop.

    While the remote is away it is held here alone; `require_there` tells whether that was enough.
    """
    longer = replace(claim, expires=times.stamp(expires))
    objects = Objects(store.git)
    old, new = objects.write("blob", claim.data), objects.write("blob", longer.data)
    objects.flush()
    try:
        refs.move(store.git, [Move(claim.ref, old, new)], f"claim kept by {claim.agent}")
    except refs.Moved:
        raise Gone(f"The claim on {claim.task} is gone; run {claim.run} ends.") from None
    objects.confirm()
    if there is not None:
        with contextlib.suppress(Away, refs.Moved):
            hold_there(store, there, claim.task, new)
    return longer


def hold_there(store: Store, there: Remote, task: str, new: str) -> None:
    """Have the remote hold what is claimed here. Raises Gone where it has another's claim; Away."""
    held = store.refs().held.get(task)
    if held == new:
        return
    if there.push([Push(refs.claim_ref(task), held, new)]):
        raise Gone(f"Another machine has the claim on {task}.")
    refs.move(store.git, [Move(HELD + task, held, new)], "claim kept")


def require(draft: Draft, claim: Claim) -> str:
    """The fence: the task as it is called now. Raises Gone where the claim is, or another run has it."""
    names = (claim.task, *draft.refs.claims)
    task = next((name for name in names if draft.claim(name).run == claim.run), None)
    if task is None:
        raise Gone(f"The claim on {claim.task} is gone; run {claim.run} settles nothing.")
    return task


def expired(store: Store, now: datetime) -> list[Claim]:
    """The claims whose time is up."""
    return [claim for claim in store.claims() if times.parse(claim.expires) <= now]
