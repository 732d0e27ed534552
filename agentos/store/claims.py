"""Claims: an agent's hold on a task, a ref that is created only where there is none."""

import secrets
from dataclasses import replace
from datetime import datetime

from agentos.errors import Conflict
from agentos.model import times
from agentos.store import refs
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.refs import Claim, Move
from agentos.store.repository import Store


class Gone(Conflict):
    """A run's claim was taken away: it settles nothing."""


TRIES = 10
"""How often a claim is tried while others hold the ref's lock, each for at most a second."""


def run_id(agent: str, moment: datetime) -> str:
    """A name for one run: when, who, and four random digits."""
    return f"{times.compact(moment)}-{agent}-{secrets.token_hex(2)}"


def take(store: Store, claim: Claim) -> bool:
    """Claim a task; False where somebody else holds it. Git decides, so it needs no lock."""
    objects = Objects(store.git)
    oid = objects.write("blob", claim.data)
    objects.flush()
    for _ in range(TRIES):
        try:
            refs.move(store.git, [Move(claim.ref, None, oid)], f"claim by {claim.agent}")
        except refs.Busy:
            continue
        except refs.Moved:
            return False
        return True
    return False


def drop(store: Store, claim: Claim) -> bool:
    """Give a claim back without a commit, renewed or not; False where it is no longer ours."""
    oid = store.refs().claims.get(claim.task)
    held = {each.task: each.run for each in store.claims()} if oid else {}
    return held.get(claim.task) == claim.run and _forget(store, claim.task, oid, "claim given back")


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


def renew(store: Store, claim: Claim, expires: datetime) -> Claim:
    """Hold a claim for longer. Raises Gone where it no longer is ours, so that the run can stop."""
    longer = replace(claim, expires=times.stamp(expires))
    objects = Objects(store.git)
    old, new = objects.write("blob", claim.data), objects.write("blob", longer.data)
    objects.flush()
    try:
        refs.move(store.git, [Move(claim.ref, old, new)], f"claim kept by {claim.agent}")
    except refs.Moved:
        raise Gone(f"The claim on {claim.task} is gone; run {claim.run} ends.") from None
    return longer


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
