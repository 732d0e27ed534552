"""Claims: an agent's hold on a task, a ref that is created only where there is none."""

import secrets
from datetime import datetime

from agentos.errors import Conflict
from agentos.model import times
from agentos.store import refs
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.refs import Claim, Move
from agentos.store.repository import Store

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
    """Give a claim back without a commit; False where it is no longer ours."""
    objects = Objects(store.git)
    oid = objects.write("blob", claim.data)
    try:
        refs.move(store.git, [Move(claim.ref, oid, None)], f"claim given back by {claim.agent}")
    except refs.Moved:
        return False
    return True


def drop_any(store: Store, task: str) -> bool:
    """Take a claim away from whoever has it; False where nobody does, or it changed hands just now."""
    oid = store.refs().claims.get(task)
    if oid is None:
        return False
    try:
        refs.move(store.git, [Move(refs.claim_ref(task), oid, None)], "claim expired")
    except refs.Moved:
        return False
    return True


def require(draft: Draft, claim: Claim) -> None:
    """The fence: raises Conflict where the claim is gone, or another run has it."""
    if draft.refs.claims.get(claim.task) != draft.blob_id(claim.data):
        raise Conflict(f"The claim on {claim.task} is gone; run {claim.run} settles nothing.")


def expired(store: Store, now: datetime) -> list[Claim]:
    """The claims whose time is up."""
    return [claim for claim in store.claims() if times.parse(claim.expires) <= now]
