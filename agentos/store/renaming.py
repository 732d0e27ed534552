"""Renaming: everything that names a task follows its new name, in the same commit."""

from collections.abc import Mapping

from agentos.model import renames
from agentos.store.draft import Draft
from agentos.store.git import Git
from agentos.store.refs import CLAIMS, TASK_BRANCHES, Move
from agentos.store.snapshot import is_claimable


def follow(draft: Draft, names: Mapping[str, str], git: Git, prefix: str) -> None:
    """Bring references, messages, attachments, branches and claims to the new names (by old)."""
    for task in list(draft.board.tasks.values()):
        depends_on = tuple(names.get(name, name) for name in task.depends_on)
        parent = names.get(task.parent or "", task.parent)
        if (depends_on, parent) != (task.depends_on, task.parent):
            draft.follow(task.replace(depends_on=depends_on or None, parent=parent))
    for document in list(draft.board.documents.values()):
        if document.task and document.task in names:
            draft.follow(document.replace(task=names[document.task]))
    for old, new in names.items():
        _attachments(draft, old, new, git, prefix)
    for path, fresh in renames.moved_messages(draft.board.messages.rows, names).items():
        draft.rename(path, fresh)
    follow_refs(draft, names, git)


def _attachments(draft: Draft, old: str, new: str, git: Git, prefix: str) -> None:
    """The kept files move along, and the messages that name them say so."""
    there, here = f"board/attachments/{old}/", f"board/attachments/{new}/"
    for message in draft.board.messages_of(old):
        kept = [here + p.removeprefix(there) if p.startswith(there) else p for p in message.attachments]
        if kept != list(message.attachments):
            draft.follow(message.replace(attachments=kept))
    if draft.refs.head is None:
        return
    args = ("-rz", "--full-tree", draft.refs.head, "--", prefix + there)
    for line in git.run("--literal-pathspecs", "ls-tree", *args).split(b"\0")[:-1]:
        meta, _, name = line.partition(b"\t")
        path = name.decode(errors="surrogateescape").removeprefix(prefix)
        draft.move_file(path, here + path.removeprefix(there), meta.split()[2].decode())


def follow_refs(draft: Draft, names: Mapping[str, str], git: Git) -> None:
    """Branches and claims, moved in the same step; a branch that is checked out somewhere stays."""
    names = {old: new for old, new in names.items() if is_claimable(old) and is_claimable(new)}
    if not names:
        return
    pairs = [(base + old, base + new) for base in (TASK_BRANCHES, CLAIMS) for old, new in names.items()]
    wanted = dict(pairs)
    out = git.text(
        "for-each-ref", "--format=%(refname) %(objectname) %(worktreepath)", *wanted, *wanted.values()
    )
    found = {ref: (oid, place) for ref, oid, place in (line.split(" ", 2) for line in out.splitlines())}
    for old, new in wanted.items():
        oid, place = found.get(old, ("", ""))
        if oid and not place and new not in found:
            draft.moves += [Move(old, oid, None), Move(new, None, oid)]
