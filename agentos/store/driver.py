"""Git's merge driver for records: `python -m agentos.store.driver BASE OURS THEIRS PATH`.

Git starts it for each file that both sides of a merge changed; the result goes into OURS. It leaves with 0
for a merge that reads, true conflicts included, and else does what git itself would do.
"""

import sys
from pathlib import Path

from agentos.store import frontmatter, merging
from agentos.store.fields import Unreadable

PAGE = "WORKING.md"

ATTRIBUTES = """\
# Records are merged field by field (`agentos init` sets the driver up in each clone).
/board/**/*.md merge=agentos
/board/config.yml merge=agentos
/agents/*.md merge=agentos
/docs/**/*.md merge=agentos
/WORKING.md merge=agentos
"""
"""What `.gitattributes` says beside the board's folders."""


def lacking(attributes: str) -> str:
    """What a `.gitattributes` must be given to name the driver for every record; empty where it does."""
    there = attributes.splitlines()
    missing = "".join(f"{line}\n" for line in ATTRIBUTES.splitlines() if line not in there)
    if "merge=" not in missing:
        return ""
    return missing if not attributes or attributes.endswith("\n") else f"\n{missing}"


def main(arguments: list[str]) -> int:
    """Merge three files into the second; the exit code for git."""
    base, ours, theirs, path = arguments
    name = _record_path(path)
    if name == PAGE:
        return 0
    try:
        sides = [Path(side).read_bytes() for side in (base, ours, theirs)]
        if not name.startswith("docs/") or _is_record(name, sides[1]):
            Path(ours).write_bytes(merging.files(name, sides[0], sides[1], sides[2]))
            return 0
    except Unreadable:
        pass
    import subprocess

    done = subprocess.run(["git", "merge-file", "--", ours, base, theirs], check=False)
    return min(done.returncode, 127)


def _record_path(path: str) -> str:
    """The path from the board's root, which may lie below the repository's top."""
    parts = path.split("/")
    for i, part in enumerate(parts):
        if part in ("board", "agents", "docs", PAGE):
            return "/".join(parts[i:])
    return path


def _is_record(name: str, data: bytes) -> bool:
    """A file under `docs/` is a record only if it has a `type`."""
    return "type" in frontmatter.split(name, data).fields()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
