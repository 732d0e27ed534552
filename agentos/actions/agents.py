"""What can be done with agents."""

from collections.abc import Sequence
from typing import Any

from agentos.errors import Refused, Usage
from agentos.model.records import Agent
from agentos.model.rules import RUNNERS
from agentos.store.draft import Draft

OWN = {"role", "capabilities", "heartbeat", "timezone", "max_tasks", "paused", "proposed_by"}
"""The settings of an agent that are its own; the others say how it thinks and what it can reach."""


def add(draft: Draft, name: str, *, body: str = "", **fields: Any) -> Agent:
    """A new agent; `fields` are the record's, those under `agentos:` in `agentos`.

    Raises Usage for a name that is taken, and for a runner that there is not.
    """
    if draft.board.is_name_taken(name):
        raise Usage(f"{name!r} is taken: agents and people share one set of names.")
    agent = Agent.make(f"agents/{name}.md", {"name": name, **fields})
    if agent.agentos.runner not in (None, *RUNNERS):
        raise Usage(f"There is no runner {agent.agentos.runner!r}; there are {', '.join(RUNNERS)}.")
    role = agent.agentos.role or agent.description or name
    return draft.create(agent, body or f"You are {name}, {role} of this team.")


def propose(draft: Draft, name: str, *, role: str, capabilities: Sequence[str], body: str) -> Agent:
    """A new agent that nobody wakes until a person approves it; it thinks as the one who proposes it does,
    and may reach no more than that."""
    settings: dict[str, Any] = {
        "role": role,
        "capabilities": list(capabilities),
        "proposed_by": draft.by.name,
    }
    proposer = draft.board.agents.get(draft.by.name)
    fields: dict[str, Any] = {"description": role}
    if proposer is not None:
        like = proposer.agentos.model_dump(mode="json", exclude=OWN, exclude_unset=True)
        settings = like | settings
        own = {"model": proposer.model, "tools": proposer.tools}
        fields |= {key: value for key, value in own.items() if value is not None}
    return add(draft, name, body=body, agentos=settings, **fields)


def approve(draft: Draft, ref: str) -> Agent:
    """Take a proposed agent onto the team; only a person can. Raises Refused for one that is on it."""
    agent = draft.board.agent(ref)
    if draft.by.is_agent:
        raise Refused("Only a person can approve an agent.")
    if agent.agentos.proposed_by is None:
        raise Refused(f"{agent.name} is on the team already.")
    plain = agent.agentos.model_dump(mode="json", exclude_unset=True)
    return draft.put(agent.replace(agentos={key: plain[key] for key in plain if key != "proposed_by"}))


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
