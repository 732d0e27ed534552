"""Setting a board up: its config, its team and its first documents."""

from collections.abc import Callable

from agentos.actions import agents
from agentos.actions.teams import TEAMS
from agentos.errors import Usage
from agentos.model.records import FORMAT, Document
from agentos.store.draft import Draft
from agentos.store.driver import ATTRIBUTES
from agentos.store.fields import dump

_CONFIG = """\
# The settings of this board, all optional; `agentos schema config` lists them.
"""

_PROTOCOL = """\
# How this team works

- A task moves from inbox over assigned, in progress and review to done; `WORKING.md` shows them all.
- Whoever works on a task says on the task what was done, and asks there.
- Nobody approves their own work.
- Every heartbeat that changes something is one commit: read it, and revert it where it is wrong.
"""


def init(
    draft: Draft, branch: str, team: str, runner: str | None, present: Callable[[str], bytes | None]
) -> None:
    """The files of a new board. `present` gives what a path of the working tree holds; that is left."""
    if team not in TEAMS:
        raise Usage(f"There is no team {team!r}; there are {', '.join(TEAMS)}.")
    person = draft.by
    people = {person.name: {"name": person.full_name, "email": person.email}}
    settings = {"format": FORMAT, "branch": branch, "people": people}
    draft.write("board/config.yml", (_CONFIG + dump(settings)).encode())
    draft.write("board/tasks/.gitkeep", b"")
    attributes = present(".gitattributes") or b""
    if ATTRIBUTES.encode() not in attributes:
        draft.write(".gitattributes", attributes + ATTRIBUTES.encode())
    for member in TEAMS[team]:
        if present(f"agents/{member.name}.md") is not None or draft.board.is_name_taken(member.name):
            continue
        own = "rules" if member.name == "orchestrator" else runner
        settings = {"role": member.role, "capabilities": list(member.capabilities)}
        settings |= {"runner": own} if own else {}
        description = f"{member.role}."
        agents.add(draft, member.name, body=member.instructions, description=description, agentos=settings)
    if present("docs/team.md") is None:
        document = {"title": "How this team works", "type": "protocol", "created_by": person.name}
        draft.create(Document.at("docs/team.md", document | {"created": draft.stamp}), _PROTOCOL)
