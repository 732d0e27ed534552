"""The command runner: an external coding agent as a command line, in the workspace and the sandbox."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agentos.errors import AgentOSError
from agentos.runtime import files, reports, secrets
from agentos.runtime.failures import Failed, MissingKey, MissingTool, TimedOut
from agentos.runtime.outbox import Action, Approve, Comment, Outbox, SendBack, Submit
from agentos.runtime.reports import Report

if TYPE_CHECKING:
    from agentos.runtime.runners import Work

MOST_OUTPUT, MOST_SAID = 1 << 20, 4000
"""Bytes of its output that are looked at, and characters of it that are passed on."""

MOST_ARGUMENT = 100_000
"""Bytes of a prompt in an argument; Linux takes 128 KiB for one."""

ENV_MISSING = 127
"""How `env` leaves where there is no such program (POSIX)."""

APPROVE, SEND_BACK = "APPROVE", "SEND BACK"

_REVIEW = f"""
End with one line of its own: `{APPROVE}`, or `{SEND_BACK}: ` and what is wrong."""


class Line(NamedTuple):
    """The command line as it is run, and what it finds on its standard input and in files of its home."""

    argv: list[str]
    stdin: bytes
    told: Path
    report: Path
    has_report: bool


def run(work: "Work") -> Outbox:
    """Run the agent's `command`; what it leaves in the files, committed or not, is its work.

    In `command`, `{prompt}` is the prompt, `{prompt_file}` a file with it, `{report_file}` where the tool may
    write its JSON, `{model}` the agent's model; without the first two the prompt is on its standard input. In
    a review its last line is the verdict, and to a question its last words are the answer. Raises MissingTool
    for a command that is not there, MissingKey for a key that is not, TimedOut, and the kind of Failed that
    the tool reports.
    """
    command = work.agent.agentos.command
    if not command:
        raise MissingTool(f"agents/{work.agent.name}.md has the runner `command` and no `command:`.")
    _check_keys(work)
    work.meter.check()
    line = _line(work, command)
    try:
        ended = work.run_command(
            line.argv, stdin=line.stdin, limit=MOST_OUTPUT, with_network=True, is_followed=True
        )
        said = _report(line, ended.output.decode(errors="replace"))
    finally:
        for file in (line.told, line.report):
            with suppress(OSError):
                file.unlink()
    work.meter.add(said.usage, model=work.agent.model or "")
    tool = _tool(command)
    if ended.is_missing or (command[0] == "env" and ended.code == ENV_MISSING):
        raise MissingTool(
            f"{tool} is not there in the sandbox; install it below /usr, or list its folder under "
            "`workspace: mounts:` in board/config.yml and give its whole path in `command:`."
        )
    if ended.code is None:
        raise TimedOut(f"{tool} was stopped after {ended.seconds:.0f} s: {ended.stopped}.")
    if ended.code != 0 or said.failure:
        how = f"left with {ended.code}" if ended.code else "says that it failed"
        kind = said.failure or Failed
        raise kind(f"{tool} {how}: {said.text[-500:] or 'it said nothing'}")
    work.log.reply({"said": said.text[-MOST_SAID:], "patch": ""})
    return _handed(work, said.text)


def again(work: "Work", reply: Mapping[str, Any]) -> Outbox:
    """What a recorded run of a command left: its change, made in the sandbox, and its last words.

    Raises MissingTool for a change that does not fit the files.
    """
    patch = str(reply["patch"]).encode(errors="surrogateescape")
    if patch and not work.is_review and not work.is_answer:
        line = ["git", "apply", "--binary", "--whitespace=nowarn", "-"]
        ended = work.sandbox.run(line, work.cell(), timeout=work.left(), stdin=patch)
        if ended.code != 0:
            why = ended.output.decode(errors="replace").strip()[-300:] or ended.stopped
            raise MissingTool(f"The recorded change does not fit the files here: {why}")
    work.log.reply(dict(reply))
    return _handed(work, str(reply["said"]))


def _check_keys(work: "Work") -> None:
    """Raises MissingKey where an agent's file lists keys and none is given: without one some tools try for
    minutes, and some leave with 0."""
    keys = [name for name in work.agent.agentos.env if name.endswith(("_KEY", "_TOKEN"))]
    if keys and not any(work.env.get(name) for name in keys):
        tool = _tool(work.agent.agentos.command)
        raise MissingKey(
            f"No key for {tool}: set {' or '.join(keys)} in the environment, or for unattended runs in "
            "~/.config/agentos/env (mode 0600); where the tool is logged in otherwise, "
            f"take it from `env:` in agents/{work.agent.name}.md."
        )


def _tool(command: Sequence[str]) -> str:
    """What is run, behind `env` and the variables that it sets."""
    words = (word for word in command if command[0] == "env" and word != "env" and "=" not in word)
    return Path(next(words, command[0])).name


def _line(work: "Work", command: Sequence[str]) -> Line:
    """The command line with what it asks for filled in. Raises MissingTool for a prompt that is too long."""
    told = work.prompt.text() + (_REVIEW if work.is_review else "")
    home, name = work.workspace.home, "".join(c if c.isalnum() else "-" for c in work.run) or "run"
    prompt, report = f"prompt-{name}.md", f"report-{name}.json"
    words = {
        "{prompt}": told, "{prompt_file}": str(home / prompt), "{report_file}": str(home / report),
        "{model}": work.agent.model or "",
    }  # fmt: skip
    whole = "\0".join(command)
    if "{prompt}" in whole and len(told.encode()) > MOST_ARGUMENT:
        raise MissingTool(
            f"The prompt of {work.task.id} is too long for an argument; use {{prompt_file}} in `command:`."
        )
    if "{prompt_file}" in whole:
        home.mkdir(parents=True, exist_ok=True)
        files.write(home, prompt, told.encode())
    is_told = "{prompt}" in whole or "{prompt_file}" in whole
    argv = [_filled(word, words) for word in command]
    return Line(
        argv, b"" if is_told else told.encode(), home / prompt, home / report, "{report_file}" in whole
    )


def _filled(word: str, words: Mapping[str, str]) -> str:
    """A word of the command with the places in it filled; what is filled in is not looked at again."""
    at = [(word.find(name), name) for name in words if name in word]
    if not at:
        return word
    start, name = min(at)
    return word[:start] + words[name] + _filled(word[start + len(name) :], words)


def _report(line: Line, output: str) -> Report:
    """What the report file says, if there is one that says something, else the output."""
    if line.has_report:
        with suppress(AgentOSError):
            data = files.read(line.report.parent, line.report.name, reports.MOST_BYTES)
            found = reports.read(data.decode(errors="replace"))
            if found.usage.tokens or found.usage.usd or found.failure:
                return Report(found.text or output.strip(), found.usage, found.failure)
    return reports.read(output)


def _handed(work: "Work", said: str) -> Outbox:
    """Its last words as they are, but for secrets: a tool may print what it was given."""
    said = secrets.redact(said, work.log.known)
    last = said[-MOST_SAID:]
    if work.is_answer and not last.strip():
        raise Failed("It was asked something and said nothing.")
    done = Comment(last, type="answer") if work.is_answer else Submit(last)
    return Outbox((_verdict(said) if work.is_review else done,), work.meter.total)


def _verdict(said: str) -> Action:
    """What the last line says. Raises Failed where that is neither the one nor the other."""
    last = said.rpartition("\n")[2].strip().strip("`*")
    if last == APPROVE:
        return Approve(said[-MOST_SAID:])
    if last.startswith(SEND_BACK):
        return SendBack(said[-MOST_SAID:])
    raise Failed(f"The review ended without a verdict: {last[:200]!r}")
