"""What can be done with documents."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from agentos.actions.tasks import member
from agentos.errors import Invalid, NotFound, Usage
from agentos.model import ids, protected
from agentos.model.board import Board
from agentos.model.records import Document
from agentos.model.words import kind_of
from agentos.store import frontmatter
from agentos.store.draft import Draft

TEMPLATES = "docs/templates"


def find(board: Board, ref: str) -> Document:
    """The document that `ref` means, by its path or any unique part. Raises NotFound or Usage."""
    return board.documents[ids.resolve(ref, board.documents.rows.keys(), "document")]


def add(
    draft: Draft,
    title: str,
    text: str = "",
    *,
    type: str | None = None,
    task: str | None = None,
    template: str | None = None,
) -> Document:
    """A new document, at the first path that its title gives and nobody has.

    It begins with its template, in which {title}, {task} and {date} are filled in. Raises Usage for no title,
    NotFound for a template that is not there.
    """
    title = " ".join(title.split())
    if not title:
        raise Usage("A document needs a title.")
    about = draft.task(task).id if task else None
    begin = _template(draft, template) if template else ""
    for name, value in {"title": title, "task": about or "", "date": draft.stamp[:10]}.items():
        begin = begin.replace(f"{{{name}}}", value)
    slug = ids.slugify(title, fallback="document")
    paths = (f"docs/{slug}{f'-{i}' if i else ''}.md" for i in (0, *range(2, 1000)))
    path = next(path for path in paths if not draft.has(path))
    body = "\n\n".join(part for part in (begin.strip("\n"), text.strip("\n")) if part)
    return write(draft, path, title, body, type=type or "deliverable", task=about)


def _template(draft: Draft, name: str) -> str:
    path = f"{TEMPLATES}/{name.removesuffix('.md')}.md"
    if any(part in ("", ".", "..") for part in path.split("/")) or not draft.has(path):
        raise NotFound(f"The board's branch has no template {path}; write it, and commit it with git.")
    return frontmatter.split(path, draft.text(path)).body


def edit(draft: Draft, ref: str, changes: Mapping[str, Any]) -> Document:
    """Set fields of a document; a task may be named by any unique part, and empty removes it."""
    values = dict(changes)
    if values.get("task"):
        values["task"] = draft.task(values["task"]).id
    document = find(draft.board, ref)
    return draft.put(document.replace(**{key: value or None for key, value in values.items()}))


def share(draft: Draft, ref: str, names: Sequence[str], *, gone: bool = False) -> Document:
    """Share a document with agents or people, who find it in their inbox, or no more."""
    document = find(draft.board, ref)
    given = [member(draft, name) for name in names]
    kept = [name for name in document.shared_with if not gone or name not in given]
    shared = kept if gone else list(dict.fromkeys([*kept, *given]))
    return draft.put(document.replace(shared_with=shared or None))


def write(
    draft: Draft, path: str, title: str, text: str, *, type: str = "deliverable", task: str | None = None
) -> Document:
    """A document of this text: a new one, or the one at `path` with its title and body replaced.

    Raises Invalid for a path that is no document's, or a file there that is none.
    """
    *folders, _ = parts = path.split("/")
    is_odd = any(map(protected.is_gits_own, parts)) or any(name.endswith(".md") for name in folders)
    if kind_of(path) != "document" or is_odd or "\\" in path:
        raise Invalid(f"{path!r} can't be a document: it is docs/…/name.md.")
    if not draft.has(path):
        fields = {"title": title, "type": type, "task": task, "created_by": draft.by.name}
        given = {key: value for key, value in fields.items() if value}
        return draft.create(Document.make(path, given | {"created": draft.stamp}), text)
    document: Document | None = draft.board.documents.get(path)
    if document is None:
        raise Invalid(f"{path} exists and is no document: it has no `type`.")
    draft.put(document.replace(title=title))
    page = frontmatter.split(path, draft.text(path))
    body = "\n" + text.strip("\n") + "\n"
    draft.write(path, dataclasses.replace(page, body=body.replace("\0", "\ufffd")).data)
    return document
