"""Marks: what an agent was shown in a prompt counts as read once its run has settled."""

import re
from collections.abc import Callable

from agentos.notify import inbox
from agentos.runtime.job import Job
from agentos.runtime.prompt import Prompt
from agentos.store.draft import Draft

_SHOWN = re.compile(r"^<<<data [0-9a-f]+: (\S+): ", re.MULTILINE)


def of(job: Job, prompt: Prompt) -> Callable[[Draft], None]:
    """What marks the messages in this prompt that were for its agent, where they are not marked yet."""
    ids = {name for part in prompt.parts for name in _SHOWN.findall(part.text)}
    paths = [path for path in job.board.messages if path.rpartition("/")[2].removesuffix(".md") in ids]
    if not any(_is_for(job, path) for path in paths):
        return lambda draft: None
    known, unread = inbox.of(job.store, job.agent.name)
    fresh = [notice.id for notice in unread if notice.path in paths]

    def mark(draft: Draft) -> None:
        if fresh:
            inbox.read(draft, job.agent.name, known, fresh)

    return mark


def _is_for(job: Job, path: str) -> bool:
    message = job.board.messages[path]
    return message.author != job.agent.name and (
        job.agent.name in message.mentions or message.type in ("question", "answer")
    )
