"""The remote: what it has, fetching and pushing, with its refusals told apart."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agentos.errors import AgentOSError, Invalid, NotFound
from agentos.store import lock, refs
from agentos.store.git import Answer, Git, TookTooLong
from agentos.store.refs import CLAIMS, THEIRS, Move
from agentos.store.repository import Store
from agentos.store.snapshot import is_claimable

OFF = "none"
"""The name in the config that stands for no remote at all."""

BESIDE = "agentos/board"
"""The branch that is pushed to where the board's own is protected."""

PATIENCE = 120.0
"""Seconds to wait while another process of this clone talks to the remote."""


class Away(AgentOSError):
    """The remote can't be reached, or does not let us in."""


class Push(NamedTuple):
    """One ref of the remote to set, from a value (None: it must not exist) to a value (None: gone)."""

    ref: str
    old: str | None
    new: str | None


class Refusal(NamedTuple):
    """A ref that the remote did not take, and why, in its words."""

    ref: str
    reason: str

    @property
    def is_race(self) -> bool:
        """Whether somebody else was faster, so that the next try may do better."""
        ours = r"fetch first|non-fast-forward|stale info|needs force"
        its = r"cannot lock ref|failed to update ref|reference already exists|incorrect old value|is at "
        return re.search(f"{ours}|{its}", self.reason) is not None

    @property
    def is_bystander(self) -> bool:
        """Whether it was only refused because another ref was."""
        return "atomic" in self.reason


@dataclass(frozen=True)
class Seen:
    """What the remote has: the board's branch, the one beside it, and claims by task."""

    head: str | None
    beside: str | None
    claims: Mapping[str, str]

    @property
    def heads(self) -> list[str]:
        return [head for head in (self.head, self.beside) if head]


@dataclass(frozen=True)
class Remote:
    """A remote of this clone, by its name, and the board's branch there."""

    git: Git
    name: str
    branch: str
    local: Path

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    def look(self) -> Seen:
        """What it has now, in one question. Raises Away."""
        answer = self._talk(
            "ls-remote", "--refs", "--end-of-options", self.name,
            self.ref, f"refs/heads/{BESIDE}", f"{CLAIMS}*",
        )  # fmt: skip
        if answer.code:
            raise self._away(answer)
        found = {ref: oid for oid, _, ref in (line.partition("\t") for line in answer.out.splitlines())}
        claims = {ref.removeprefix(CLAIMS): oid for ref, oid in found.items() if ref.startswith(CLAIMS)}
        return Seen(found.get(self.ref), found.get(f"refs/heads/{BESIDE}"), claims)

    def fetch(self, seen: Seen) -> bool:
        """Bring here the commits and the claims that it was seen to have; False where one is gone by now.

        Raises Away.
        """
        now = refs.read(self.git, self.branch)
        others = {task: oid for task, oid in seen.claims.items() if now.held.get(task) != oid}
        others = {task: oid for task, oid in others.items() if is_claimable(task)}
        specs = [
            f"{CLAIMS}{task}:{THEIRS}{task}" for task, oid in others.items() if now.theirs.get(task) != oid
        ]
        for ref, oid in ((self.ref, seen.head), (f"refs/heads/{BESIDE}", seen.beside)):
            if oid and not self._has(oid):
                specs.append(f"{ref}:{ref.replace('refs/heads', f'refs/remotes/{self.name}', 1)}")
        if specs:
            answer = self._talk(
                "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head",
                "--end-of-options", self.name, *(f"+{spec}" for spec in specs),
            )  # fmt: skip
            if "couldn't find remote ref" in answer.err:
                return False
            if answer.code:
                raise self._away(answer)
        gone = [Move(THEIRS + task, oid, None) for task, oid in now.theirs.items() if task not in others]
        refs.move_each(self.git, gone, f"claims given back on {self.name}")
        return True

    def push(self, pushes: Iterable[Push]) -> list[Refusal]:
        """Set all of these refs there, or none; gives the ones refused. Raises Away.

        A branch only ever moves forward; any other ref only from the value named.
        """
        leases, specs = [], []
        for ref, old, new in pushes:
            specs.append(f"{new or ''}:{ref}")
            if not ref.startswith("refs/heads/"):
                leases.append(f"--force-with-lease={ref}:{old or ''}")
        answer = self._talk(
            "push", "--porcelain", "--atomic", "--no-verify", "--recurse-submodules=no", *leases,
            "--end-of-options", self.name, *specs,
        )  # fmt: skip
        refused = list(_refusals(answer.out))
        if answer.code and not refused:
            raise self._away(answer)
        return refused

    def addresses(self) -> list[str]:
        """Where it is pushed to: as git rewrites it, and as it is written."""
        rewritten = self.git.text("remote", "get-url", "--push", "--end-of-options", self.name)
        written = (
            self.git.text("config", f"remote.{self.name}.{key}", ok=(0, 1)) for key in ("pushurl", "url")
        )
        return [rewritten, *(url for url in written if url)]

    def _talk(self, *args: str) -> Answer:
        """One process of this clone at a time: git's own locks of refs would refuse the second."""
        with lock.board_lock(self.local / "remote.lock", PATIENCE):
            try:
                return self.git.talk(*args)
            except TookTooLong as error:
                raise Away(f"The remote {self.name} is away: {error}") from None

    def _has(self, commit: str) -> bool:
        return self.git.run("cat-file", "-t", commit, ok=(0, 128)) == b"commit\n"

    def _away(self, answer: Answer) -> Away:
        lines = [line.strip() for line in answer.err.splitlines() if line.strip()]
        wanted = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
        said = wanted[0].removeprefix("fatal: ").removeprefix("error: ") if wanted else f"exit {answer.code}"
        return Away(f"The remote {self.name} is away: {bare(said)}")


def _refusals(out: str) -> Iterator[Refusal]:
    """The refused refs in what `git push --porcelain` prints: `!<tab>from:to<tab>reason`."""
    for line in out.splitlines():
        if line.startswith("!\t"):
            _, names, reason = line.split("\t", 2)
            yield Refusal(names.rpartition(":")[2], bare(reason))


def bare(text: str) -> str:
    """A text without the name and password that a URL in it may have."""
    return re.sub(r"(\w://)[^/@\s']+@", r"\1", text)


def find(store: Store, wanted: str | None = None) -> Remote | None:
    """The remote to sync with: the one wanted, the config's, the branch's upstream, or `origin`.

    None where there is none, or it is switched off. Raises NotFound for a name that this clone does not
    know, and Invalid for a shallow clone.
    """
    known = store.git.text("remote").split()
    name = wanted or (store.board().config.remote if known else None)
    if name == OFF or not (known or name):
        return None
    if name is None:
        upstream = store.git.text("config", f"branch.{store.branch}.remote", ok=(0, 1))
        name = next((each for each in (upstream, "origin") if each in known), None)
    if name is None:
        return None
    if name not in known:
        raise NotFound(f"This clone has no remote {name!r}; make one with `git remote add`.")
    if (store.git.common_dir / "shallow").exists():
        raise Invalid("This clone is shallow, so histories can't be merged; run: git fetch --unshallow")
    return Remote(store.git, name, store.branch, store.local)
