"""What can be done with documents."""

import dataclasses

from agentos.errors import Invalid
from agentos.model.records import Document
from agentos.model.words import kind_of
from agentos.store import frontmatter
from agentos.store.draft import Draft


def write(
    draft: Draft, path: str, title: str, text: str, *, type: str = "deliverable", task: str | None = None
) -> Document:
    """A document of this text: a new one, or the one at `path` with its title and body replaced.

    Raises Invalid for a path that is no document's, or a file there that is none.
    """
    if kind_of(path) != "document" or any(part in ("", ".", "..") for part in path.split("/")):
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
