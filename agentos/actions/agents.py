"""What can be done with agents."""

from typing import Any

from agentos.errors import Refused, Usage
from agentos.model.records import Agent
from agentos.store.draft import Draft


def add(draft: Draft, name: str, *, body: str = "", **fields: Any) -> Agent:
    """A new agent; `fields` are the record's, those under `agentos:` in `agentos`."""
    if draft.board.is_name_taken(name):
        raise Usage(f"{name!r} is taken: agents and people share one set of names.")
    agent = Agent.make(f"agents/{name}.md", {"name": name, **fields})
    role = agent.agentos.role or agent.description or name
    return draft.create(agent, body or f"You are {name}, {role} of this team.")


def pause(draft: Draft, ref: str, paused: bool = True) -> Agent:
    """Stop an agent from being woken, or let it be woken again."""
    agent = draft.board.agent(ref)
    settings = agent.agentos.model_copy(update={"paused": paused})
    plain = settings.model_dump(mode="json", exclude_unset=True) | {"paused": paused}
    return draft.put(agent.replace(agentos=plain))


def remove(draft: Draft, ref: str) -> Agent:
    """Take an agent off the team. Raises Refused while it has open tasks."""
    agent = draft.board.agent(ref)
    held = [task.short for task in draft.board.open_tasks if agent.name in task.assignees]
    if held:
        raise Refused(f"{agent.name} has {', '.join(held[:5])}; assign them to somebody else first.")
    draft.remove(agent.path)
    return agent
