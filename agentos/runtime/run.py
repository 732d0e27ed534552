"""A run that does real work: workspace, prompt, runner, hand-in; then it is closed by one commit."""

import dataclasses

from agentos.errors import AgentOSError, NotFound, Refused
from agentos.model import times
from agentos.runtime import attempts, closing, marks, prompt, runlog, sandbox, workspace
from agentos.runtime.beats import Beat
from agentos.runtime.failures import Cancelled, Failed, MissingTool, said_of
from agentos.runtime.job import Job, is_still_wanted
from agentos.runtime.lease import Lease
from agentos.runtime.outbox import Outbox
from agentos.runtime.prompt import Prompt
from agentos.runtime.runners import RUNNERS, Work
from agentos.runtime.sandbox import Sandbox
from agentos.runtime.workspace import Handed, Workspace
from agentos.store import claims


class Try:
    """One try at a job; what it has so far is kept here, so that a failure can save it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.sandbox: Sandbox | None = None
        self.workspace: Workspace | None = None
        self.told = Prompt()

    def go(self) -> Beat:
        """Do the job and settle it. Never raises for what goes wrong in the run: the beat says it."""
        job = self.job
        rest = attempts.resting(job.history, job.began)
        if rest is not None:
            claims.drop(job.store, job.claim)
            return closing.passed(job, f"it rests until {times.stamp(rest)}", rest)
        if job.work.is_review and attempts.is_reviewed(job.agent.name, job.history):
            claims.drop(job.store, job.claim)
            return closing.passed(job, "it has been reviewed as it is")
        runlog.prune(job.store.local, job.began)
        job.log.say(run=job.claim.run, agent=job.agent.name, task=job.task.id, runner=job.runner)
        job.log.say(model=job.agent.model, start=times.stamp(job.began), board=job.board.commit)
        job.log.say(is_review=job.work.is_review, is_answer=job.work.is_answer)
        try:
            job.meter.reserve()
            with Lease(job.store, job.claim, job.stop_at, self._has_moved_on) as lease:
                job.meter.guard = lease.check
                outbox = self._think()
                lease.check()
                handed = self._hand_in()
            claims.require_there(job.store, job.claim)
            tip = self.workspace.tip if self.workspace and job.work.is_review else ""
            mark = marks.of(job, self.told)
            return closing.settle(job, outbox, handed, tip, self._unconfined, mark)
        except claims.Gone as gone:
            return closing.fail(job, Cancelled(str(gone)), self._salvage(), self._unconfined)
        except AgentOSError as error:
            return closing.fail(job, error, self._salvage(), self._unconfined)
        except OSError as error:  # such as a workspace that somebody has removed below the run
            return closing.fail(job, Failed(said_of(error)), self._salvage(), self._unconfined)

    @property
    def _unconfined(self) -> bool:
        return self.sandbox is not None and self.sandbox.name == "off"

    def _has_moved_on(self, name: str) -> str | None:
        """Why the task is no longer this run's, as the board now stands."""
        task = self.job.store.board().tasks.get(name)
        if task is not None and is_still_wanted(task, self.job):
            return None
        return f"{name} has moved on meanwhile."

    def _think(self) -> Outbox:
        job = self.job
        try:
            self.sandbox = sandbox.find(job.board.config.sandbox)
        except Refused as none:
            raise MissingTool(str(none)) from None
        self.workspace = workspace.prepare(job.store, job.board, job.task, job.agent, self.sandbox)
        job.log.say(workspace=dataclasses.asdict(self.workspace))
        self.told = prompt.gather(
            job.store, job.board, job.task, job.agent, **closing.told(job, self.workspace)
        )
        job.log.say(prompt=self.told.hashes())
        work = Work(
            job.agent,
            job.task,
            job.board,
            job.work.is_review,
            job.work.is_answer,
            run=job.claim.run,
            workspace=self.workspace,
            sandbox=self.sandbox,
            meter=job.meter,
            log=job.log,
            prompt=self.told,
            env=job.env,
            stop_at=job.stop_at,
            body=job.store.body(job.task),
            left=lambda: (job.stop_at - job.store.clock()).total_seconds(),
            committed=lambda path: job.store.committed(path, job.board.commit),
        )
        try:
            return RUNNERS[job.runner](work)
        except NotFound as missing:
            raise MissingTool(str(missing)) from None

    def _hand_in(self) -> Handed | None:
        """The commit of what the run left in its workspace; none of a review or an answer."""
        if not self.job.work.has_work or self.workspace is None:
            return None
        message = f"{self.job.task.id}: {' '.join(self.job.task.title.split())}"
        handed = workspace.collect(
            self.job.store,
            self.workspace,
            self.job.by,
            message,
            self.job.board.config.workspace.allow,
            lambda patch: closing.vet(self.job, patch),
        )
        self.job.log.say(handed={"parent": self.workspace.parent, "commit": handed.commit})
        return handed

    def _salvage(self) -> str | None:
        if self.workspace is None or not self.job.work.has_work:
            return None
        try:
            return workspace.salvage(
                self.job.store, self.workspace, self.job.claim.run, self.job.board.config.workspace.allow
            )
        except (AgentOSError, OSError) as error:
            self.job.log.write("salvage", error=str(error))
            return None
