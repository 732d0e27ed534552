"""The outbox: the typed actions that a run proposes; the runtime checks and applies them at settle."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from agentos.errors import Usage as Malformed
from agentos.runtime.budget import Usage
from agentos.runtime.failures import Failed

_STRICT = ConfigDict(extra="forbid", defer_build=True)

Line = Annotated[str, Field(min_length=1, max_length=500)]
Word = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(min_length=1, max_length=100_000)]
Names = Annotated[tuple[Line, ...], Field(max_length=50)]
Task = Annotated[
    str, Field(max_length=100, description="a task's name, such as TASK-012; empty for your own")
]


@dataclass(frozen=True, slots=True, config=_STRICT)
class CreateTask:
    """Propose a new task: a part of yours, or of `parent`."""

    title: Line
    body: Annotated[
        str, Field(max_length=100_000, description="what is to be done, and why, in Markdown")
    ] = ""
    parent: Task = ""
    needs: Annotated[Names, Field(description="capabilities that the work takes")] = ()
    depends_on: Annotated[Names, Field(description="tasks that must be completed first")] = ()
    criteria: Annotated[Names, Field(description="acceptance criteria, one sentence each")] = ()
    checks: Annotated[Names, Field(description="commands that must pass")] = ()
    touches: Annotated[Names, Field(description="paths that the work will change")] = ()
    labels: Names = ()
    priority: Annotated[int, Field(ge=1, le=5, description="1 is highest")] = 3
    estimate: Word | None = None
    due: Word | None = None


@dataclass(frozen=True, slots=True, config=_STRICT)
class UpdateTask:
    """Change fields of your task, or of a part of it; what is left out stays."""

    task: Task = ""
    title: Line | None = None
    priority: Annotated[int, Field(ge=1, le=5)] | None = None
    estimate: Line | None = None
    due: Line | None = None
    needs: Names | None = None
    touches: Names | None = None
    depends_on: Names | None = None
    labels: Annotated[Names, Field(description="labels to add")] = ()


@dataclass(frozen=True, slots=True, config=_STRICT)
class Assign:
    """Give a part of your task to agents or people; the first works, the others watch."""

    task: Task
    names: Names


@dataclass(frozen=True, slots=True, config=_STRICT)
class Comment:
    """Say something about a task; `@name` reaches somebody."""

    text: Text
    task: Task = ""
    type: Literal["comment", "status_update", "answer"] = "comment"
    reply_to: Annotated[Word | None, Field(description="the message that this answers")] = None


@dataclass(frozen=True, slots=True, config=_STRICT)
class Ask:
    """Ask somebody about your task, and stop until there is an answer."""

    text: Text
    to: Annotated[Word, Field(description="an agent or a person; empty for whoever made the task")] = ""


@dataclass(frozen=True, slots=True, config=_STRICT)
class Block:
    """Stop the task, with what is wanted from whom."""

    reason: Line


@dataclass(frozen=True, slots=True, config=_STRICT)
class WriteDocument:
    """Write a document under `docs/`, new or in place of your earlier one."""

    path: Annotated[str, Field(pattern=r"^docs/[^\x00-\x1f]+\.md$", max_length=200)]
    title: Line
    text: Annotated[str, Field(max_length=500_000)]
    type: Literal["deliverable", "research", "protocol"] = "deliverable"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Remember:
    """Keep a fact for your later runs; the same name replaces it."""

    text: Annotated[str, Field(min_length=1, max_length=4000)]
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$", description="such as how-to-run-the-tests")]


@dataclass(frozen=True, slots=True, config=_STRICT)
class ProposeAgent:
    """Propose a new member of the team; a person approves it, or not."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    role: Line
    capabilities: Names
    instructions: Text
    why: Text


@dataclass(frozen=True, slots=True, config=_STRICT)
class Submit:
    """Hand your work in for review."""

    summary: Annotated[str, Field(max_length=20_000, description="what was done, for the reviewer")] = ""


@dataclass(frozen=True, slots=True, config=_STRICT)
class Approve:
    """Pass the work of somebody else."""

    note: Annotated[str, Field(max_length=20_000)] = ""


@dataclass(frozen=True, slots=True, config=_STRICT)
class SendBack:
    """Send the work of somebody else back to them, with what is wrong."""

    reason: Text


@dataclass(frozen=True, slots=True, config=_STRICT)
class Tick:
    """Tick an acceptance criterion that was seen to pass, or clear one; only runners of ours may."""

    number: Annotated[int, Field(ge=1)]
    is_ticked: bool = True


Action: TypeAlias = (
    CreateTask | UpdateTask | Assign | Comment | Ask | Block | WriteDocument | Remember | ProposeAgent
    | Submit | Approve | SendBack | Tick
)  # fmt: skip

ACTIONS: dict[str, type] = {
    "create_task": CreateTask,
    "update_task": UpdateTask,
    "assign": Assign,
    "comment": Comment,
    "ask": Ask,
    "block": Block,
    "write_document": WriteDocument,
    "remember": Remember,
    "propose_agent": ProposeAgent,
    "submit": Submit,
    "approve": Approve,
    "send_back": SendBack,
}
"""The actions that an agent may ask for, by the name its tools have; the last two for reviewers alone."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outbox:
    """What one run proposes for its task, in order; `handoff` is a note for the task's next run.

    `failing` are the checks that the runner `checks` saw fail; `stopped` is why a guard ended the run.
    """

    actions: tuple[Action, ...] = ()
    usage: Usage = dataclasses.field(default_factory=Usage)
    handoff: str = ""
    is_simulated: bool = False
    failing: tuple[str, ...] = ()
    stopped: Failed | None = None


def make(name: str, arguments: Mapping[str, Any]) -> Action:
    """The action that a tool call asks for. Raises Usage, in words, for one that can't be."""
    if name not in ACTIONS:
        raise Malformed(f"There is no action {name!r}; there are {', '.join(ACTIONS)}.")
    try:
        action: Action = TypeAdapter(ACTIONS[name]).validate_python(dict(arguments))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or name
        raise Malformed(f"{name}: {where}: {first['msg']}.") from None
    return action


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of an action's arguments."""
    return TypeAdapter(ACTIONS[name]).json_schema()
