"""Sync: what others did is taken over, what was done here is published, and a person's code never is."""

import contextlib
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from agentos.errors import Conflict
from agentos.model import times, working
from agentos.model.activity import Actor, events, sentence
from agentos.model.changes import Change
from agentos.store import claims, joining, landing, refs, renaming
from agentos.store.draft import Draft
from agentos.store.driver import ATTRIBUTES
from agentos.store.objects import Objects
from agentos.store.refs import CLAIMS, HELD, THEIRS, Move
from agentos.store.remote import BESIDE, Away, Push, Refusal, Remote, Seen
from agentos.store.repository import Store
from agentos.store.transaction import transact

TRIES = 10
"""How often it is tried again because somebody else published in between."""

PAUSE = 0.1
"""Seconds to wait at most before the second try; twice as many before each further one, up to `LONGEST`."""

LONGEST = 2.0

GRACE = timedelta(minutes=5)
"""How far the clocks of two machines may be apart before one releases the other's claim too early."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync did: what was taken over, how many commits were published and to which branch, and notes.

    `state` is `even`; `held` where a person's unpublished code holds publication; `blocked` where what came
    in could not be taken; `refused` where the remote takes it nowhere; `away`.
    """

    remote: str
    state: str = "even"
    taken: str = ""
    published: int = 0
    branch: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def is_current(self) -> bool:
        """Whether the board here has everything that the remote had."""
        return self.state not in ("away", "blocked")


def sync(store: Store, there: Remote, by: Actor) -> Report:
    """Adopt hand edits, take over what the remote has, publish what it has not; again if others are faster.

    What goes wrong with the remote, and what can't be taken or published, is said in the report. Raises
    Conflict while git is in the middle of something, and where others are faster all the time.
    """
    report = Report(there.name)
    taken: list[Change] = []
    for count in range(TRIES):
        if count:
            time.sleep(random.uniform(0, min(PAUSE * 2**count, LONGEST)))
        try:
            seen, changes, notes = take_in(store, there, by)
            taken += changes
            report = replace(report, taken=sentence(events(taken)), notes=(*report.notes, *notes))
            done = _publish(store, there, seen, report)
        except Away as error:
            return replace(report, state="away", notes=(*report.notes, f"{error}. All else goes on."))
        except Blocked as error:
            return replace(report, state="blocked", notes=(*report.notes, str(error)))
        if done is not None:
            return done
    raise Conflict(f"Others publish to {there.name} faster than we can; try again.")


class Blocked(Conflict):
    """What the remote has can't be taken over; the message says why."""


def take_in(store: Store, there: Remote, by: Actor) -> tuple[Seen, list[Change], list[str]]:
    """Take over what the remote has; gives what it was seen to have, what that changed, and notes.

    Raises Away, and Blocked where a path outside the records stands in the way.
    """
    seen = _fetched(there)
    changes: list[Change] = []
    notes: list[str] = []
    names = ((seen.head, f"{there.name}/{there.branch}"), (seen.beside, f"{there.name}/{BESIDE}"))
    for head, name in names if seen.heads else ((None, ""),):
        landed = _Landing(store, head, name)
        result = transact(store, landed, by)
        notes += [*result.notes, *result.value]
        changes += result.changes
    return seen, changes, notes


def _fetched(there: Remote) -> Seen:
    """What the remote has, brought here; looked at again where a claim was given back in between."""
    for _ in range(TRIES):
        seen = there.look()
        if there.fetch(seen):
            return seen
    raise Away(f"The remote {there.name} changes faster than it can be read.")


@dataclass(frozen=True)
class _Landing:
    """One commit of the remote's, as a transaction's decision; gives what is worth saying."""

    store: Store
    head: str | None
    name: str

    def __call__(self, draft: Draft) -> list[str]:
        if self.head is None:
            return []
        try:
            joined = landing.take(draft, self.store, self.head, self.name)
        except Conflict as error:
            raise Blocked(str(error)) from None
        renamed = joined.renamed if joined else {}
        renaming.follow_refs(draft, renamed, self.store.git)
        return [
            f"{old} was made on another machine as well; ours is {new} now." for old, new in renamed.items()
        ]


# Publishing ---------------------------------------------------------------------------------------------


def _publish(store: Store, there: Remote, seen: Seen, report: Report) -> Report | None:
    """Push what the remote has not, and give back the claims whose runs are in it; None: try again."""
    over = _over(store)
    head = store.refs().head  # read after the claims: whatever gave one back is in it
    commits = _unpublished(store, head, seen.heads) if head else {}
    code = [path for paths in commits.values() for path in paths]
    if code:
        note = (
            f"{len(commits)} commits are not published, because some change files outside the board: "
            f"{joining.some(dict.fromkeys(code))}. Publish them with git push; the board goes along."
        )
        _keep(store, there, seen)
        _renew(store, there, over, seen)
        return replace(report, state="held", notes=(*report.notes, note))
    _keep(store, there, seen)
    done = replace(report, published=len(commits), branch=there.branch)
    back = [Push(CLAIMS + task, oid, None) for task, oid in over.items() if seen.claims.get(task) == oid]
    ours = [Push(there.ref, seen.head, head)] if commits else []
    refused = there.push([*ours, *back]) if ours or back else []
    why = next((each for each in refused if each.ref == there.ref and _is_final(each)), None)
    if why is not None:
        ours = [Push(f"refs/heads/{BESIDE}", seen.beside, head)]
        refused = there.push([*ours, *back])
        note = (
            f"{there.name} does not take {there.branch} ({why.reason}); the board went to {BESIDE} instead."
        )
        done = replace(done, branch=BESIDE, notes=(*report.notes, note))
        if any(_is_final(each) for each in refused if each.ref == ours[0].ref):
            note = f"{there.name} takes neither {there.branch} nor {BESIDE} ({why.reason})."
            return replace(report, state="refused", notes=(*report.notes, note))
    if refused:
        return None
    gone = [Move(HELD + task, oid, None) for task, oid in over.items()]
    refs.move_each(store.git, gone, "claims given back")
    return done


def _is_final(refusal: Refusal) -> bool:
    return not refusal.is_race and not refusal.is_bystander


def _unpublished(store: Store, head: str, known: Sequence[str]) -> dict[str, list[str]]:
    """The commits that the remote has not, each with the paths it changes that are no records.

    A merge counts with what it has from none of its parents.
    """
    out = store.git.run(
        "log", "-z", "--format=%x01%H %P", "--name-only", "-c", "--no-renames", "--no-ext-diff",
        head, "--not", *known, "--",
    )  # fmt: skip
    objects = Objects(store.git)
    commits: dict[str, list[str]] = {}
    commit: list[str] = []
    try:
        for part in out.split(b"\0"):
            line = part.lstrip(b"\n")
            if line.startswith(b"\x01"):
                commit = line[1:].decode().split()
                commits[commit[0]] = []
            elif line and not _is_ours(store, objects, os.fsdecode(line), commit):
                commits[commit[0]].append(os.fsdecode(line))
    finally:
        objects.close()
    return commits


def _is_ours(store: Store, objects: Objects, path: str, commit: Sequence[str]) -> bool:
    """Whether a path belongs to the board, or is what `agentos init` writes beside it."""
    inner = path.removeprefix(store.prefix)
    if not path.startswith(store.prefix):
        return False
    if inner.startswith(("board/", "agents/")) or inner == working.PATH:
        return True
    sides = [objects.entry(each, path) for each in commit[:2]]
    if inner == ".gitattributes":
        after, before = ([*(objects.blob(side.oid) if side else b"" for side in sides), b""])[:2]
        return after == before + ATTRIBUTES.encode()
    return joining.is_record(objects, store.prefix, path, sides)


def _over(store: Store) -> dict[str, str]:
    """Our claims on the remote whose runs are over, by task.

    The two refs of a claim are made together, but a reader may see one before the other; so it looks twice.
    """
    held = store.refs().held
    claimed = store.refs().claims if held else {}
    return {task: oid for task, oid in held.items() if task not in claimed}


# Claims -------------------------------------------------------------------------------------------------


def _keep(store: Store, there: Remote, seen: Seen) -> None:
    """Have the remote know of the claims that were renewed here since, and of those on a renamed task."""
    now = store.refs()
    for task, oid in now.claims.items():
        if now.held.get(task) == seen.claims.get(task):
            with contextlib.suppress(claims.Gone, refs.Moved):
                claims.hold_there(store, there, task, oid)


def _renew(store: Store, there: Remote, over: dict[str, str], seen: Seen) -> None:
    """Keep the claims of runs that are settled here and not published, so that nobody does them again."""
    objects = Objects(store.git)
    now = store.clock()
    try:
        for task, oid in over.items():
            claim = refs.parse_claim(task, objects.blob(oid))
            if seen.claims.get(task) != oid or times.parse(claim.expires) > now + timedelta(minutes=30):
                continue
            later = replace(claim, expires=times.stamp(now + timedelta(hours=1)))
            new = objects.write("blob", later.data)
            objects.flush()
            if not there.push([Push(claim.ref, oid, new)]):
                refs.move_each(store.git, [Move(HELD + task, oid, new)], "claim renewed")
    finally:
        objects.close()


def release_expired(store: Store, there: Remote, now: datetime) -> Iterator[str]:
    """Take away other machines' claims whose time is long up; gives a note for each. Raises Away."""
    objects = Objects(store.git)
    try:
        for task, oid in store.refs().theirs.items():
            claim = refs.parse_claim(task, objects.blob(oid))
            if times.parse(claim.expires) + GRACE > now:
                continue
            if not there.push([Push(claim.ref, oid, None)]):
                refs.move_each(store.git, [Move(THEIRS + task, oid, None)], "claim expired")
                who = f"{claim.agent or 'nobody'} on {claim.host or 'another machine'}"
                yield f"The claim of {who} on {task} had expired and was released."
    finally:
        objects.close()
