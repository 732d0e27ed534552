"""Identities: a file's name is what it is called, and people may type any unique part of it."""

import re
import unicodedata
from collections.abc import Iterable

from agentos.errors import NotFound, Usage
from agentos.model.words import task_number

SLUG_LENGTH = 40


def slugify(text: str, fallback: str = "") -> str:
    """`text` as `[a-z0-9-]`, at most 40 characters, cut at a word; `fallback` where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(slug) > SLUG_LENGTH:
        head = slug[: SLUG_LENGTH + 1].rpartition("-")[0]
        slug = head if len(head) > SLUG_LENGTH // 2 else slug[:SLUG_LENGTH]
    return slug.strip("-") or fallback


def task_id(number: int, slug: str) -> str:
    """The name of task `number`, such as TASK-012-add-login."""
    return f"TASK-{number:03d}-{slug}"


def next_number(names: Iterable[str]) -> int:
    """One more than the highest task number among these names."""
    return max((task_number(name) or 0 for name in names), default=0) + 1


def resolve(ref: str, names: Iterable[str], noun: str = "task") -> str:
    """The one name that `ref` means: the whole name, its number, or any unique part.

    Raises NotFound for none and Usage, with the candidates, for more than one.
    """
    names = names if isinstance(names, dict | set | frozenset) else list(names)
    if ref in names:
        return ref
    wanted = ref.strip().lower()
    number = re.fullmatch(r"(?:task-)?0*(\d+)", wanted) if noun == "task" else None
    if number:
        head = f"TASK-{int(number[1]):03d}-"
        hits = [name for name in names if name.startswith(head)]
        hits = hits or [name for name in names if task_number(name) == int(number[1])]
    else:
        hits = [name for name in names if wanted and wanted in name.lower()]
        starts = [name for name in hits if name.lower().startswith(wanted)]
        hits = starts if len(starts) == 1 else hits
    if len(hits) == 1:
        return hits[0]
    if not hits:
        raise NotFound(f"No {noun.removesuffix('s')} {ref!r}; `agentos {noun} list` shows what there is.")
    some = ", ".join(sorted(hits)[:5]) + (" …" if len(hits) > 5 else "")
    raise Usage(f"{ref!r} means more than one {noun.removesuffix('s')}: {some}. Type more of the name.")
