"""What a task's branch may not carry: records, policy, and links that lead out."""

import posixpath
from collections.abc import Sequence

from agentos.model.words import kind_of

BOARD = ("board", "agents")
CI_FOLDERS = frozenset((".ci", ".circleci", ".buildkite", ".woodpecker", ".forgejo", ".gitea", ".teamcity"))
CI_FILES = frozenset((
    ".appveyor.yml", "appveyor.yml", ".cirrus.yml", ".drone.yml", ".travis.yml", ".woodpecker.yml",
    "azure-pipelines.yml", "bitbucket-pipelines.yml", "cloudbuild.yaml", "codemagic.yaml", "jenkinsfile",
    "codeowners",
))  # fmt: skip


def why_left_out(path: str, prefix: str, allow: Sequence[str] = ()) -> str:
    """Why a file at this path of the repository is left out of what is handed in, or nothing.

    `prefix` is the board's root. `allow` lists paths, and folders ending in a slash, that a person opened;
    the board's own are never open. Compared without case, as some disks do.
    """
    low = path.casefold()
    inner = low.removeprefix(prefix.casefold())
    if low.startswith(prefix.casefold()) and (inner.split("/")[0] in BOARD or inner == "working.md"):
        return "agents change the board by their tools alone"
    if is_policy(low) and not any(_is_within(low, place.casefold()) for place in allow):
        return "it is policy; a person changes it, or lists it under `workspace: allow`"
    return ""


def _is_within(path: str, place: str) -> bool:
    return path == place or (place.endswith("/") and path.startswith(place))


def is_policy(low: str) -> bool:
    """Whether a path, in lower case, steers git, CI or who has to review."""
    *folders, name = low.split("/")
    if any(part.startswith(".git") for part in (*folders, name)):
        return True
    return name in CI_FILES or not CI_FOLDERS.isdisjoint(folders)


def may_be_document(path: str, prefix: str) -> bool:
    """Whether its content decides if the file is a record: a document has a `type`."""
    return path.startswith(prefix) and kind_of(path.removeprefix(prefix)) == "document"


def leads_out(path: str, target: bytes) -> bool:
    """Whether a symbolic link at this path points outside the repository."""
    text = target.decode(errors="surrogateescape")
    where = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    return text.startswith("/") or where == ".." or where.startswith("../") or ".git" in where.split("/")
