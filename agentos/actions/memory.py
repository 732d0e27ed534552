"""What an agent remembers: one small file a fact, under `agents/memory/<name>/`."""

from agentos.model.ids import slugify
from agentos.store.draft import Draft


def remember(draft: Draft, agent: str, name: str, text: str) -> str:
    """Keep a fact, in place of an earlier one of that name; gives its path."""
    path = f"agents/memory/{agent}/{slugify(name, fallback='fact')}.md"
    draft.write(path, (text.strip() + "\n").encode())
    return path
