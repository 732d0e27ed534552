"""What a task's branch may not carry, and what in it a person has to see: a table of places."""

import posixpath
import re
import unicodedata
from collections.abc import Sequence
from itertools import dropwhile
from typing import NamedTuple

from agentos.model.words import kind_of

BOARD = ("board", "agents")


class Places(NamedTuple):
    """Files and folders by their name, wherever in the repository they are; in lower case."""

    files: frozenset[str]
    folders: frozenset[str]
    pattern: re.Pattern[str]
    """What else a file or a folder may be called."""

    def has(self, folded: str) -> bool:
        """Whether a path, as `fold` gives it, is one of these or lies in one."""
        *folders, name = folded.split("/")
        is_named = name in self.files or name in self.folders or not self.folders.isdisjoint(folders)
        return is_named or any(self.pattern.fullmatch(part) for part in (*folders, name))


POLICY = Places(
    files=frozenset((
        ".appveyor.yml", "appveyor.yml", ".build.yml", ".cirrus.star", ".cirrus.yml", ".drone.jsonnet",
        ".drone.star", ".drone.yml", ".scrutinizer.yml", ".travis.yml", ".woodpecker.yaml", ".woodpecker.yml",
        "bitbucket-pipelines.yml", "buildspec.yml", "codemagic.yaml", "wercker.yml",
        "codeowners", "owners", ".mergify.yml", ".kodiak.toml", "bors.toml", "renovate.json",
        "renovate.json5", ".renovaterc", ".renovaterc.json",
    )),
    folders=frozenset((
        ".azure-pipelines", ".azuredevops", ".bitbucket", ".buildkite", ".builds", ".ci", ".circleci",
        ".forgejo", ".gitea", ".harness", ".mergify", ".semaphore", ".teamcity", ".tekton", ".woodpecker",
    )),
    pattern=re.compile(
        r"\.git.*|git[^.]*~\d+|gi[0-9a-f]{4}~\d+|jenkinsfile([.-].*)?|\.?azure-pipelines.*\.ya?ml"
        r"|cloudbuild.*\.(ya?ml|json)"
    ),
)  # fmt: skip
"""What git, CI and merge bots obey, and who has to review: never handed in. `GITHUB~1` is Windows' short
name for `.github`."""

STEERS = Places(
    files=frozenset((
        "agents.md", "agents.override.md", "agent.md", "claude.md", "claude.local.md", "gemini.md", "qwen.md",
        "copilot-instructions.md", ".clinerules", ".cursorrules", ".goosehints", ".roomodes", ".roorules",
        ".rules", ".windsurfrules", ".mcp.json", "mcp.json", "opencode.json", "opencode.jsonc",
        ".devcontainer.json", ".dir-locals.el", ".exrc", ".nvim.lua", ".nvimrc", ".vimrc", ".envrc",
        ".lefthook.yml", ".overcommit.yml", ".pre-commit-config.yaml", ".pre-commit-config.yml",
        "lefthook.yml", ".mise.toml", "mise.toml", ".npmrc", ".pnpmfile.cjs", ".yarnrc", ".yarnrc.yml",
    )),
    folders=frozenset((
        ".agents", ".amazonq", ".augment", ".claude", ".clinerules", ".codex", ".continue", ".cursor",
        ".gemini", ".goose", ".junie", ".kiro", ".opencode", ".qwen", ".roo", ".trae", ".windsurf",
        ".devcontainer", ".fleet", ".idea", ".nvim", ".vim", ".vs", ".vscode", ".zed",
        ".cargo", ".direnv", ".husky", ".lefthook", ".mise", ".yarn",
    )),
    pattern=re.compile(r"\.aider\..*|.*\.(code-workspace|sublime-project)|.*\.(instructions|chatmode)\.md"),
)  # fmt: skip
"""What coding agents, editors, hooks and package managers of people obey, with nobody calling it."""

_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""Characters that the file system of macOS does not see in a name."""


def fold(path: str) -> str:
    """A path as the disks that know least would take it for another: HFS+, APFS, NTFS (CVE-2014-9390).

    Without case and what macOS does not see; without the dots, spaces and streams (`::$DATA`) that Windows
    drops at the end of a name.
    """
    plain = path.replace("\\", "/")
    if not plain.isascii():
        plain = unicodedata.normalize("NFC", _UNSEEN.sub("", plain))
    return "/".join(part.partition(":")[0].rstrip(". ") for part in plain.casefold().split("/"))


def is_gits_own(part: str) -> bool:
    """Whether git would not check out a part of a path (git's `verify_path`): it could be its own folder."""
    return part in ("", ".", "..") or not {".git", "git~1"}.isdisjoint(fold(part).split("/"))


def why_left_out(path: str, prefix: str, allow: Sequence[str] = ()) -> str:
    """Why a file at this path of the repository is left out of what is handed in, or nothing.

    `prefix` is the board's root. `allow` lists paths, and folders ending in a slash, that a person opened;
    the board's own are never open.
    """
    folded, root = fold(path), fold(prefix)
    inner = folded.removeprefix(root)
    if folded.startswith(root) and (inner.split("/")[0] in BOARD or inner == "working.md"):
        return "agents change the board by their tools alone"
    if POLICY.has(folded) and not _is_open(folded, allow):
        return "it is policy; a person changes it, or lists it under `workspace: allow`"
    return ""


def steers(path: str, allow: Sequence[str] = ()) -> bool:
    """Whether a file steers what runs at people's: it may be handed in, and a person has to let it in."""
    folded = fold(path)
    return STEERS.has(folded) and not _is_open(folded, allow)


def _is_open(folded: str, allow: Sequence[str]) -> bool:
    places = map(fold, allow)
    return any(folded == place or (place.endswith("/") and folded.startswith(place)) for place in places)


def may_be_document(path: str, prefix: str) -> bool:
    """Whether its content decides if the file is a record: a document has a `type`."""
    folded, root = fold(path), fold(prefix)
    return folded.startswith(root) and kind_of(folded.removeprefix(root)) == "document"


def leads_out(path: str, target: bytes) -> bool:
    """Whether a symbolic link at this path may point outside the repository, or into git's folder.

    Where a `..` after a name leads is known only to who knows whether the name is a link itself.
    """
    text = target.decode(errors="surrogateescape")
    where = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    steps = (step for step in text.split("/") if step not in ("", "."))
    turns = ".." in dropwhile("..".__eq__, steps)
    is_outside = text.startswith("/") or where == ".." or where.startswith("../")
    return is_outside or turns or ".git" in fold(where).split("/")
