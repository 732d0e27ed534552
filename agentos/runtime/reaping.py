"""Reaping: runs that are over without having settled are saved, counted, and their claims given back."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentos.actions import messages
from agentos.errors import AgentOSError
from agentos.model.activity import Actor
from agentos.model.rules import SIMULATED, Assignment
from agentos.model.words import Status
from agentos.runtime import closing, liveness, orphans, runlog, workspace
from agentos.runtime.beats import Beat
from agentos.runtime.failures import Lost, TimedOut
from agentos.runtime.job import Job, open_job
from agentos.runtime.ledger import Entry, Ledger
from agentos.runtime.near import ALL
from agentos.runtime.workspace import Workspace
from agentos.store import claims, runs
from agentos.store.refs import Claim
from agentos.store.repository import Store
from agentos.store.transaction import transact


def reap(store: Store, claim: Claim) -> Beat:
    """Close a run whose process is gone or whose claim has expired; kills the very process that took it."""
    was_alive = liveness.stop(claim, socket.gethostname())
    orphans.sweep()
    board = store.board()
    agent = board.agents.get(claim.agent)
    task = board.tasks.get(claim.task)
    if agent is None or task is None or agent.agentos.runner in (None, SIMULATED):
        claims.drop_any(store, claim.task)
        said = "The claim had expired and was released."
        return Beat(claim.agent, claim.task, "lost", claim.run, text=said)
    is_answer = runlog.facts(store.local, claim.run).get("is_answer") is True
    is_review = task.status is Status.REVIEW and not is_answer
    work = Assignment(claim.agent, claim.task, is_review, is_answer)
    job = open_job(store, work, claim, board, {})
    if any(run.run == claim.run for run in job.history):
        # git deletes refs after it has moved the others: a kill in between leaves the claim
        claims.drop_any(store, claim.task)
        job.ledger.settle(claim.run, job.began)
        return Beat(
            claim.agent, claim.task, "settled", claim.run, text="It had settled; its claim was released."
        )
    entry = job.ledger.entries().get(claim.run)
    if entry is not None:
        job.meter.resume(entry)
    why = TimedOut("It did not end in time and was killed.") if was_alive else Lost("Its process is gone.")
    return closing.fail(job, why, _salvaged(job), is_unconfined=False, patience=0.0)


def _salvaged(job: Job) -> str | None:
    """What the dead run left in its workspace, kept in a ref; None where nothing is there."""
    known = runlog.facts(job.store.local, job.claim.run)
    place = known.get("workspace")
    if not isinstance(place, dict) or not job.work.has_work:
        return None
    try:
        return workspace.salvage(
            job.store, _workspace(place), job.claim.run, job.board.config.workspace.allow
        )
    except (AgentOSError, OSError, LookupError, TypeError) as error:
        job.log.write("salvage", error=str(error))
        return None


def _workspace(place: Mapping[str, Any]) -> Workspace:
    """The workspace as the run's log has it."""
    paths = {"path": Path(place["path"]), "home": Path(place["home"])}
    many = {"reads": tuple(map(Path, place["reads"])), "near": tuple(place.get("near", ALL))}
    return Workspace(**{**place, **paths, **many})


def settle_orphans(store: Store) -> list[str]:
    """Bring into history what runs cost that ended without being settled; gives a note for each."""
    ledger = Ledger(store.local)
    open_runs = [entry for entry in ledger.entries().values() if not entry.is_settled]
    held = {claim.run for claim in store.claims()} if open_runs else set()
    notes = []
    for entry in open_runs:
        if entry.run not in held:
            notes += [_settle(store, entry)] if _is_owed(store, entry) else []
            ledger.settle(entry.run, store.clock())
    return notes


def _is_owed(store: Store, entry: Entry) -> bool:
    """Whether a run cost something that history does not have."""
    task = store.board().tasks.get(entry.task)
    known = {run.run for run in runs.of_task(store, task)} if task is not None else set()
    return entry.tokens > 0 and entry.run not in known


def _settle(store: Store, entry: Entry) -> str:
    said = "This run ended without being settled; what it took is counted."
    trailers = [("Run", entry.run), ("Run-Task", entry.task), ("Model", entry.model)]
    trailers += [("Tokens", str(entry.tokens)), ("Cost-USD", f"{entry.usd:.6f}"), ("Failure", "lost")]
    by = Actor(entry.agent, is_agent=True)
    transact(store, lambda draft: messages.note(draft, entry.task, said), by, trailers=trailers)
    return f"The run {entry.run} ended without being settled; its cost is now in history."
