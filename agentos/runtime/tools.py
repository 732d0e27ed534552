"""The tools of a model: files and commands of the workspace, and the actions of the outbox as proposals.

A tool is a function with a typed signature; its schema is made from that. An error is an answer: the model
reads what is wrong and what to do, and goes on.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from agentos.errors import AgentOSError, Invalid, NotFound, Refused, Usage
from agentos.runtime import files, outbox, permission, talk
from agentos.runtime.outbox import Action, Ask, Block, Submit
from agentos.runtime.provider import MOST_ANSWER, Call, sound
from agentos.runtime.runlog import cut
from agentos.store.git import Git

if TYPE_CHECKING:
    from agentos.runtime.runners import Work

MOST_OUTPUT = 30_000
"""Characters of one result; what is more is cut out of its middle."""

MOST_ACTIONS = 200
"""Proposals of one run that are kept at all; the outbox has its own, lower maxima for each kind."""

MOST_SECONDS = 600

Path = Annotated[str, Field(max_length=4096, description="relative to the workspace")]


@dataclass
class Desk:
    """What the tools of one run work on, and what they have proposed so far."""

    work: "Work"
    actions: list[Action] = field(default_factory=list)
    handoff: str = ""
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """Something a model can call: what it is for, the schema of its arguments, and what it does."""

    description: str
    schema: Callable[[], Mapping[str, Any]]
    act: Callable[[Desk, Mapping[str, Any]], str]


def available(work: "Work") -> dict[str, Tool]:
    """The tools of this run: what the agent's file lists, or all, that fit its kind of work."""
    agent = work.agent
    listed = agent.tools.split(",") if isinstance(agent.tools, str) else agent.tools
    wanted = {_plain(name) for name in listed} if listed is not None else None
    actions = agent.agentos.actions
    other = NOT_IN_REVIEW if work.is_review else FOR_REVIEW | (NOT_IN_ANSWER if work.is_answer else set())
    return {
        name: tool
        for name, tool in TOOLS.items()
        if name not in other
        and (name not in IN_WORKSPACE or (work.workspace and (wanted is None or name in wanted)))
        and (name not in outbox.ACTIONS or actions is None or name in actions)
    }


def _plain(name: str) -> str:
    """A tool's name as ours is, from the ways other tools write it: `Read`, `Bash(git *)`."""
    name = name.partition("(")[0].strip().lower()
    return ALIASES.get(name, name)


def use(desk: Desk, tools: Mapping[str, Tool], call: Call) -> str:
    """The answer to a call; one that can't be is answered with what is wrong."""
    given = talk.arguments(call)
    tool = tools.get(call.name)
    if tool is None:
        return f"Error: there is no tool {sound(call.name)[:100]!r}; there are {', '.join(tools)}."
    if given is None:
        return f"Error: {_broken(call.arguments)} Call {call.name} again, with one whole JSON object."
    try:
        return cut(sound(tool.act(desk, given)), MOST_OUTPUT)
    except AgentOSError as error:
        return cut(f"Error: {sound(str(error))}", MOST_OUTPUT)


def _broken(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        long = f" Of one answer {MOST_ANSWER:,} characters are kept; write less at once." * (
            len(text) > MOST_ANSWER // 2
        )
        return f"the arguments are no JSON: {what} at character {error.pos} of {len(text)}.{long}"
    except RecursionError:
        return "the arguments are nested too deeply."
    return "the arguments are no JSON object."


# The workspace ------------------------------------------------------------------------------------------


def _text(desk: Desk, path: str) -> str:
    data = files.read(desk.work.workspace.path, path)
    if b"\0" in data[:8192]:
        raise Invalid(f"{path} is binary ({len(data):,} bytes).")
    return data.decode(errors="replace")


def read_file(
    desk: Desk,
    path: Path,
    first: Annotated[int, Field(ge=1, description="first line")] = 1,
    last: Annotated[int | None, Field(description="last line")] = None,
) -> str:
    """Read a text file, or some of its lines."""
    lines = _text(desk, path).splitlines(keepends=True)
    if first == 1 and last is None:
        return "".join(lines) or f"({path} is empty)"
    shown = lines[first - 1 : last]
    return f"(lines {first} to {first - 1 + len(shown)} of {len(lines)})\n" + "".join(shown)


def write_file(desk: Desk, path: Path, content: str) -> str:
    """Write a whole file, new or in place of the old one."""
    files.write(desk.work.workspace.path, path, content.encode())
    return f"Wrote {path}: {len(content.splitlines()):,} lines."


def edit_file(
    desk: Desk,
    path: Path,
    old: Annotated[str, Field(min_length=1, description="exact text, enough of it to be found once")],
    new: str,
    everywhere: bool = False,
) -> str:
    """Replace a text in a file by another; it must stand there exactly once, or `everywhere` be true."""
    root = desk.work.workspace.path
    data = files.read(root, path)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{path} is no UTF-8 text; it can't be edited here.") from None
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    at = _lines_of(text, old)
    if not at:
        raise NotFound(f"{path} has no such text.{_likely(text, old)} Read it and copy the text exactly.")
    if len(at) > 1 and not everywhere:
        shown = ", ".join(map(str, at[:10]))
        raise Usage(f"{path} has that text {len(at)} times (lines {shown}); give more of what is around it.")
    files.write(root, path, text.replace(old, new).encode())
    return f"Replaced it in {path}, line {at[0]}." if len(at) == 1 else f"Replaced {len(at)} in {path}."


def _lines_of(text: str, wanted: str) -> list[int]:
    """The lines on which a text begins, as often as it can be replaced."""
    found, line, start = [], 1, 0
    while (at := text.find(wanted, start)) >= 0:
        line += text.count("\n", start, at)
        found.append(line)
        line += wanted.count("\n")
        start = at + len(wanted)
    return found


def _likely(text: str, wanted: str) -> str:
    """Where the text might have been meant, by its first line that has words."""
    first = next((line.strip() for line in wanted.splitlines() if line.strip()), "")
    at = [str(i) for i, line in enumerate(text.splitlines(), 1) if first and line.strip() == first]
    return f" Line {', '.join(at[:5])} begins like it, with other space or other lines after." if at else ""


def list_files(
    desk: Desk,
    path: Path = ".",
    deep: Annotated[bool, Field(description="folders within folders too")] = False,
) -> str:
    """List a folder; folders end in /."""
    found = files.listing(desk.work.workspace.path, path, deep)
    if len(found) > files.MOST_ENTRIES:
        found[files.MOST_ENTRIES :] = [f"… more than {files.MOST_ENTRIES:,}; list a folder further down"]
    return "\n".join(found) or f"({path} is empty)"


def search_files(
    desk: Desk,
    pattern: Annotated[str, Field(min_length=1, max_length=1000, description="extended regular expression")],
    path: Path = ".",
) -> str:
    """Search the text files for a pattern, with paths and line numbers."""
    grep = ["--literal-pathspecs", "grep", "--untracked", "-nIE", "-e", pattern, "--", path]
    if desk.work.sandbox is not None:
        ended = desk.work.run_command(["git", *grep], timeout=60)
        output, is_over = ended.output, ended.code in (0, 1)
    else:
        root = desk.work.workspace.path
        git = Git(root / ".git", root / ".git", root, {})
        output, is_over = git.run(*grep, ok=(0, 1)), True
    text = output.decode(errors="replace")
    if not is_over:
        raise Invalid(f"The search failed: {text.strip()[:1000] or 'it took too long'}")
    return text or "Nothing matches."


def run_command(
    desk: Desk,
    command: Annotated[str, Field(min_length=1, max_length=20_000, description="for sh, in the workspace")],
    seconds: Annotated[int, Field(ge=1, le=MOST_SECONDS, description="stopped after so many")] = 120,
) -> str:
    """Run a command in the sandbox; it gives the exit code and what was printed."""
    if desk.work.sandbox is None:
        raise Refused(
            "Commands are refused: there is no sandbox here, and no person has allowed them without one. "
            "Use the file tools, or `block` the task with what you need."
        )
    argv = ["sh", "-c", command]
    ended = desk.work.run_command(argv, timeout=seconds, limit=2 * MOST_OUTPUT, with_network=True)
    code = f"exit code {ended.code}" if ended.code is not None else f"stopped after {seconds} s"
    return f"({code})\n{ended.output.decode(errors='replace')}"


# The end ------------------------------------------------------------------------------------------------


def finish(
    desk: Desk,
    summary: Annotated[str, Field(max_length=20_000, description="what was done, for the reviewer")] = "",
    is_done: Annotated[bool, Field(description="false: the work goes on in a later run")] = True,
    handoff: Annotated[str, Field(max_length=20_000, description="a note for the next run")] = "",
) -> str:
    """End the run. The task is handed in for review, unless it is not done or was blocked or asked about."""
    proposed = {type(action) for action in desk.actions}
    if desk.work.is_review:
        if is_done and not proposed & {outbox.Approve, outbox.SendBack}:
            raise Usage("This is a review: use approve or send_back first, or finish with is_done false.")
    elif desk.work.is_answer:
        if outbox.Comment not in proposed and not summary.strip():
            raise Usage("You are asked something: use comment first, or answer in the summary.")
        desk.actions += [] if outbox.Comment in proposed else [outbox.Comment(summary, type="answer")]
    elif is_done and not proposed & {Submit, Ask, Block}:
        desk.actions.append(Submit(summary))
    desk.handoff = handoff or ("" if is_done else summary)
    desk.is_over = True
    return "The run is over."


# The table ----------------------------------------------------------------------------------------------


@cache
def _model(act: Callable[..., str]) -> type[BaseModel]:
    """The arguments of a tool, from its signature without the desk."""
    parameters = list(inspect.signature(act).parameters.values())[1:]
    fields: dict[str, Any] = {
        each.name: (each.annotation, ... if each.default is each.empty else each.default)
        for each in parameters
    }
    return create_model(act.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _function(act: Callable[..., str]) -> Tool:
    """The tool that a function is."""

    def checked(desk: Desk, given: Mapping[str, Any]) -> str:
        try:
            made = _model(act).model_validate(dict(given))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            wanted = ", ".join(_model(act).model_fields)
            raise Usage(f"{where}: {first['msg']}. The arguments are {wanted}.") from None
        return act(desk, **{name: getattr(made, name) for name in type(made).model_fields})

    return Tool(_first_line(act), lambda: _model(act).model_json_schema(), checked)


def _action(name: str) -> Tool:
    """The tool that proposes an action of the outbox."""

    def propose(desk: Desk, given: Mapping[str, Any]) -> str:
        if len(desk.actions) >= MOST_ACTIONS:
            raise Refused(f"A run can propose {MOST_ACTIONS} actions at most; finish now.")
        made = outbox.make(name, given)
        with suppress(NotFound):  # it may be a task that another run, or this one, is about to make
            permission.in_full(desk.work.board, made)
        desk.actions.append(made)
        return "Noted; it is applied when the run ends. Use finish when there is nothing left to do."

    return Tool(_first_line(outbox.ACTIONS[name]), lambda: outbox.schema(name), propose)


def _first_line(about: Any) -> str:
    return inspect.cleandoc(about.__doc__ or "").split("\n\n")[0].replace("\n", " ")


TOOLS: dict[str, Tool] = {
    "read": _function(read_file),
    "write": _function(write_file),
    "edit": _function(edit_file),
    "list": _function(list_files),
    "search": _function(search_files),
    "run": _function(run_command),
    **{name: _action(name) for name in outbox.ACTIONS if name != "submit"},
    "finish": _function(finish),
}
"""Every tool by its name. `submit` is what `finish` does."""

IN_WORKSPACE = frozenset({"read", "write", "edit", "list", "search", "run"})
"""The tools that `tools:` in the agent's file chooses from; they need a workspace."""

FOR_REVIEW = frozenset({"approve", "send_back"})
NOT_IN_REVIEW = frozenset({"write", "edit", "update_task", "assign", "ask", "block", "write_document"})
NOT_IN_ANSWER = NOT_IN_REVIEW | {"create_task"}

ALIASES = {"bash": "run", "shell": "run", "grep": "search", "glob": "list", "ls": "list", "multiedit": "edit"}
"""The names that other tools' agent files have for ours."""
