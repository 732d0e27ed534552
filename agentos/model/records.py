"""The records: frozen values with the fields a file's front matter has, unknown ones included."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from agentos.errors import Usage
from agentos.model import times
from agentos.model.words import Resolution, Status, is_archived, task_number

FORMAT = 1
"""The newest board format this version reads and writes (`format:` in board/config.yml)."""

BRANCH = r"^[A-Za-z0-9][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_-]+)*$"

Time = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?Z)?$"),
]
"""UTC, ISO 8601: `2026-02-02T10:30:00Z`, or a date alone."""

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"

Name = Annotated[str, StringConstraints(pattern=NAME)]
"""An agent or a person: lower-case letters, digits, `-` and `_`."""

Branch = Annotated[str, StringConstraints(pattern=BRANCH)]
"""A branch that needs no quoting anywhere."""

RemoteName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A remote of git's by its name; never a URL."""

Duration = Annotated[str, StringConstraints(pattern=r"^(\d+[smhd]|(\S+\s+){4}\S+)$")]
"""An interval (`30s`, `15m`, `2h`, `1d`) or a cron expression of five fields."""


Limit = Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,5}[smh]$")]
"""A length of time alone: `90s`, `60m`, `2h`."""


Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,500}$")]

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


class Part(BaseModel):
    """A group of fields inside a record; keeps keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True, defer_build=True)


class Record(Part):
    """One file under `board/`, `agents/` or `docs/`.

    `path` is the file's path from the board's root; identity (`id`) is its file name.
    Fields are the front matter's; what the file does not say has its default and is not in `fields()`.
    """

    kind: ClassVar[str]

    @classmethod
    def make(cls, path: str, fields: Mapping[str, Any]) -> Self:
        """A record that somebody asks for; raises Usage, in words, for a value that can't be."""
        try:
            return cls.at(path, fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            said = "that is not how it is written" if "pattern" in first["type"] else first["msg"]
            raise Usage(f"{where} can't be {first['input']!r}: {said[:1].lower()}{said[1:]}.") from None

    @classmethod
    def at(cls, path: str, fields: Mapping[str, Any]) -> Self:
        """The record that a file at `path` with these fields is; raises pydantic's ValidationError."""
        record = cls.model_validate(dict(fields))
        record.__dict__["_path"] = path
        for where, value, why in record.misfits():
            message = PydanticCustomError("misfit", "{why}", {"why": why})
            raise ValidationError.from_exception_data(
                cls.__name__, [{"type": message, "loc": where, "input": value}]
            )
        return record

    def misfits(self) -> Iterator[tuple[tuple[str, ...], Any, str]]:
        """What no pattern can tell: where it stands, the value, and why it can't be.

        It is asked when a text is read, not for each record that comes from the cache.
        """
        for name in ("created", "due", "read_until"):
            value = getattr(self, name, None)
            if isinstance(value, str) and not times.is_time(value):
                yield (name,), value, "there is no such day or hour"

    @classmethod
    def from_row(cls, path: str, row: bytes) -> Self:
        """The record from its cached row: the front matter as JSON."""
        record: Self = cls.__pydantic_validator__.validate_json(row)
        record.__dict__["_path"] = path
        return record

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, tuple[str, str, bytes]]]) -> Iterator[tuple[str, Self]]:
        """Many records at once, by name: each row is a path, a blob and the cached fields."""
        read = cls.__pydantic_validator__.validate_json
        for name, (path, _, fields) in rows:
            record: Self = read(fields)
            record.__dict__["_path"] = path
            yield name, record

    @property
    def path(self) -> str:
        """Where the file is, from the board's root; kept beside the fields, since it is none of them."""
        path: str = self.__dict__.get("_path", "")
        return path

    @property
    def id(self) -> str:
        name: str | None = self.__dict__.get("_id")
        if name is None:
            name = self.__dict__["_id"] = self.path.rpartition("/")[2].rpartition(".")[0]
        return name

    def fields(self) -> dict[str, Any]:
        """The front matter as plain data: what was set, unknown keys included."""
        return self.model_dump(mode="json", exclude_unset=True)

    def replace(self, /, **changes: Any) -> Self:
        """The same record with these fields changed and checked again; None removes one.

        Raises Usage, in words, for a value that can't be.
        """
        data = self.fields() | changes
        return type(self).make(self.path, {key: value for key, value in data.items() if value is not None})


class Task(Record):
    """A piece of work: `board/tasks/TASK-012-add-login.md`."""

    kind: ClassVar[str] = "task"

    title: str = Field("", max_length=500)
    status: Status = Status.INBOX
    priority: int = Field(3, ge=1, le=5, description="1 is highest")
    assignees: tuple[Name, ...] = ()
    created_by: str | None = None
    parent: str | None = Field(None, description="the task this one is a part of")
    depends_on: tuple[str, ...] = Field((), description="tasks that must be completed first")
    needs: tuple[str, ...] = Field((), description="capabilities; `a + b` wants two assignees, `a/b` either")
    touches: tuple[str, ...] = Field((), description="paths the work will change")
    labels: tuple[str, ...] = ()
    estimate: str | None = None
    due: Time | None = None
    blocked: str | None = Field(None, description="why the task can't go on")
    resolution: Resolution | None = None
    pr: Url | None = Field(None, description="its pull request")
    merges: Commit | None = Field(
        None, description="the commit whose change this task brings to the board's branch"
    )
    created: Time | None = None

    @property
    def number(self) -> int | None:
        return task_number(self.id)

    @property
    def short(self) -> str:
        """The short form of the identity, such as TASK-012."""
        return "-".join(self.id.split("-", 2)[:2])

    @property
    def is_open(self) -> bool:
        return self.status is not Status.DONE

    @property
    def is_completed(self) -> bool:
        return self.status is Status.DONE and self.resolution in (None, Resolution.COMPLETED)

    @property
    def is_archived(self) -> bool:
        return is_archived(self.path)


class Message(Record):
    """One thing said about a task: `board/messages/<task>/<time>-<author>-<4>.md`."""

    kind: ClassVar[str] = "message"

    author: Name
    type: Literal["comment", "status_update", "question", "answer"] = "comment"
    reply_to: str | None = None
    mentions: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()
    reactions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    created: Time | None = None

    @property
    def task(self) -> str:
        return PurePosixPath(self.path).parent.name


class Document(Record):
    """A document about the work: any file under `docs/` whose front matter has a `type`."""

    kind: ClassVar[str] = "document"

    title: str = ""
    type: Literal["deliverable", "research", "protocol"]
    task: str | None = None
    created_by: str | None = None
    shared_with: tuple[str, ...] = ()
    created: Time | None = None


class Budget(Part):
    """Caps on what runs may take; a day is one in UTC. A name that is none is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    usd_per_run: float | None = Field(None, ge=0)
    usd_per_task: float | None = Field(None, ge=0)
    usd_per_day: float | None = Field(None, ge=0)
    tokens_per_run: int | None = Field(None, ge=0)
    tokens_per_task: int | None = Field(None, ge=0)
    tokens_per_day: int | None = Field(None, ge=0)
    usd_per_million_tokens: float | None = Field(
        None, ge=0, description="the price of a model that has no published one"
    )


class AgentSettings(Part):
    """What AgentOS adds to a subagent file, under `agentos:`."""

    role: str = ""
    capabilities: tuple[str, ...] = ()
    runner: str | None = None
    heartbeat: Duration = "15m"
    timezone: str = "UTC"
    max_tasks: int = Field(1, ge=1, le=1000)
    budget: Budget = Budget()
    paused: bool = False
    proposed_by: str | None = None
    command: tuple[str, ...] = Field(
        (),
        description="the command line of `runner: command`; {prompt}, {prompt_file} and so on are filled in",
    )
    replay: str | None = Field(
        None,
        pattern=r"^[^/\x00-\x1f][^\x00-\x1f]*$",
        description="the recording that `runner: replay` plays, a path in the repository",
    )
    network: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    actions: tuple[str, ...] | None = Field(
        None, description="what it may propose for the board; all by default"
    )
    api_base: str | None = Field(
        None, pattern=r"^https?://\S+$", description="the address of an OpenAI-compatible server"
    )
    api_key_env: str | None = Field(
        None,
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="the variable with the key, where it is not the usual one",
    )
    tool_mode: Literal["native", "json"] = Field(
        "native", description="json: one action as JSON an answer, for small local models"
    )
    stream: bool = True
    temperature: float | None = Field(None, ge=0, le=2)
    seed: int | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    max_calls: int = Field(100, ge=1, le=1000, description="tool calls of one run")
    call_timeout: int = Field(300, ge=1, le=3600, description="seconds that one answer may take")
    context: int = Field(
        200_000, ge=4000, le=10_000_000, description="bytes that prompt and conversation may have"
    )


class Agent(Record):
    """A member of the team: `agents/technical.md`; the body is its instructions."""

    kind: ClassVar[str] = "agent"

    name: Name
    description: str = ""
    tools: tuple[str, ...] | str | None = None
    model: str | None = None
    agentos: AgentSettings = AgentSettings()

    def misfits(self) -> Iterator[tuple[tuple[str, ...], Any, str]]:
        """A schedule that can't be: a cron expression, a time zone, a length beyond all measure."""
        yield from super().misfits()
        settings = self.agentos
        if settings.timezone != "UTC" and not times.is_zone(settings.timezone):
            yield ("agentos", "timezone"), settings.timezone, "there is no such time zone"
        if not times.is_schedule(settings.heartbeat):
            yield ("agentos", "heartbeat"), settings.heartbeat, "it is no schedule that can come"

    @property
    def session_key(self) -> str:
        return f"agent:{self.name}:main"


class Inbox(Record):
    """What one reader has read: `board/inbox/technical.md`."""

    kind: ClassVar[str] = "inbox"

    read: tuple[str, ...] = ()
    read_until: Time | None = None


class Person(Part):
    """Somebody who works on the board by hand."""

    name: str = ""
    email: str = ""


class WorkspaceSettings(Part):
    """How a task's workspace is set up, under `workspace:` in the config."""

    setup: tuple[tuple[str, ...] | str, ...] = Field(
        (), description="commands, each a list or a line split without a shell; run once, with network"
    )
    locks: tuple[str, ...] = Field((), description="files whose content says when the set-up must run again")
    network: tuple[str, ...] = Field(("*",), description="hosts the set-up may reach; `*` is any public one")
    mounts: tuple[str, ...] = Field((), description="folders that agents see read-only")
    allow: tuple[str, ...] = Field((), description="protected paths that agents may change all the same")
    records: Literal["near", "all"] = Field(
        "near", description="which tasks' records are there: the task's own and its kin's, or `all`"
    )
    submodules: bool = Field(False, description="fetch submodules over https when setting up")
    lfs: bool = Field(False, description="fetch the files of git LFS when setting up")


class Config(Record):
    """The settings in `board/config.yml`, all optional."""

    kind: ClassVar[str] = "config"

    format: int = Field(FORMAT, ge=1, description="the board's format; a newer one is refused")
    branch: Branch | None = Field(None, description="the branch the board lives on")
    adopt: bool = Field(True, description="commit hand edits on the next transaction or tick")
    paused: bool = Field(False, description="stop every agent")
    budget: Budget = Field(Budget(), description="caps for the whole board")
    run_limit: Limit = Field("60m", description="how long one run may take")
    sandbox: Literal["auto", "off"] = Field("auto", description="`off` lets agents run commands unconfined")
    workspace: WorkspaceSettings = WorkspaceSettings()
    merge: Literal["human", "checks", "pr"] = Field(
        "human", description="who merges: `agentos approve`, checks that pass, or a pull request"
    )
    remote: RemoteName | None = Field(None, description="the remote to sync with; `none` switches it off")
    people: dict[Name, Person] = Field(default_factory=dict)


RECORDS: dict[str, type[Record]] = {
    record.kind: record for record in (Task, Message, Document, Agent, Inbox, Config)
}
"""Every kind of record by its name."""

LIST_FIELDS: dict[str, frozenset[str]] = {
    kind: frozenset(
        name for name, field in record.model_fields.items() if str(field.annotation).startswith("tuple")
    )
    for kind, record in RECORDS.items()
}
"""The fields that are lists, by kind: a single value there is read as a list of one."""
