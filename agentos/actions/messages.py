"""What can be said about tasks."""

import re
from pathlib import PurePosixPath

from agentos.actions.tasks import member
from agentos.errors import NotFound, Usage
from agentos.model import times
from agentos.model.ids import slugify
from agentos.model.records import Message
from agentos.store.draft import Draft

MOST_ATTACHED = 10 << 20
"""Bytes of one attachment; what is larger belongs elsewhere than in git."""

MOST_REACTION = 20

_MENTION = re.compile(r"(?<![\w@])@(?:agent:)?([a-z0-9][a-z0-9_-]*)")


def add(
    draft: Draft,
    ref: str,
    text: str,
    *,
    type: str = "comment",
    author: str | None = None,
    reply_to: str | None = None,
    attach: dict[str, bytes] | None = None,
) -> Message:
    """Say something about a task; `@name` in the text mentions somebody. `attach` maps names to contents."""
    task = draft.task(ref)
    if not text.strip():
        raise Usage("A message needs some text.")
    writer = member(draft, author) if author else draft.by.name
    name = f"{times.compact(draft.now)}-{writer}-{draft.token()}"
    mentions = [who for who in dict.fromkeys(_MENTION.findall(text)) if draft.board.is_name_taken(who)]
    fields = {"author": writer, "type": type, "created": draft.stamp}
    if reply_to:
        fields["reply_to"] = _message(draft, task.id, reply_to).id
    files = [_attach(draft, task.id, file, data) for file, data in (attach or {}).items()]
    values = fields | ({"mentions": mentions} if mentions else {}) | ({"attachments": files} if files else {})
    return draft.create(Message.make(f"board/messages/{task.id}/{name}.md", values), text)


def react(draft: Draft, ref: str, message: str, reaction: str, *, gone: bool = False) -> Message:
    """Add the actor's reaction to a message of a task, or take it away. Raises Usage where it can't be."""
    found = _message(draft, draft.task(ref).id, message)
    word = reaction.strip()
    if not word or len(word) > MOST_REACTION or any(c.isspace() or not c.isprintable() for c in word):
        raise Usage(f"A reaction is an emoji or a word of at most {MOST_REACTION} characters.")
    who = [name for name in found.reactions.get(word, ()) if name != draft.by.name]
    after = {name: list(names) for name, names in found.reactions.items()}
    after[word] = who if gone else [*who, draft.by.name]
    return draft.put(found.replace(reactions={name: names for name, names in after.items() if names} or None))


def note(draft: Draft, task: str, text: str) -> Message:
    """What an agent has to report about a task, be the task still there or not."""
    name = f"{times.compact(draft.now)}-{draft.by.name}-{draft.token()}"
    fields = {"author": draft.by.name, "type": "status_update", "created": draft.stamp}
    return draft.create(Message.make(f"board/messages/{task}/{name}.md", fields), text)


def _message(draft: Draft, task: str, ref: str) -> Message:
    found = [message for message in draft.board.messages_of(task) if ref in message.id]
    if len(found) != 1:
        raise NotFound(
            f"{len(found) or 'No'} messages on {task} match {ref!r}; `agentos message list` shows them."
        )
    return found[0]


def _attach(draft: Draft, task: str, name: str, data: bytes) -> str:
    """Keep one file beside the task's messages; its name is made plain, so it can't leave its folder."""
    if len(data) > MOST_ATTACHED:
        raise Usage(f"{name} has {len(data):,} bytes; at most {MOST_ATTACHED:,} can be attached.")
    plain = PurePosixPath(name)
    path = f"board/attachments/{task}/{slugify(plain.stem, 'file')}-{draft.token()}{_ending(plain.suffix)}"
    draft.write(path, data)
    return path


def _ending(suffix: str) -> str:
    return suffix.lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", suffix) else ""
