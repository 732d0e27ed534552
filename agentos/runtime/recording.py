"""Recordings: what the models and commands of runs answered, in a file that can be committed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentos.errors import Invalid, NotFound, Refused
from agentos.runtime import provider, runlog
from agentos.runtime.failures import MissingTool
from agentos.runtime.prompt import Prompt
from agentos.store import patch
from agentos.store.repository import Store

FORMAT = 1
"""What the first line of each run in a recording has as `recording`."""

ASKED = "task"
"""The part of a prompt that must be the same: a recording answers one task as it read. The other parts name
moments and messages, and so are new in every repository."""

MOST = {"llm": 2 * provider.MOST_ANSWER, "command": runlog.MOST_REPLIES}
"""Characters of one answer; a model's has room for what redaction adds."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One run: who did what, the hashes of what it was told, and the answers in order."""

    runner: str
    agent: str = ""
    task: str = ""
    model: str = ""
    is_review: bool = False
    prompt: Mapping[str, str] | None = None
    replies: tuple[Mapping[str, Any], ...] = ()
    usage: Mapping[str, float] | None = None
    """What the run took: `input_tokens`, `output_tokens` and, where the price is known, `usd`."""

    def fits(self, prompt: Prompt, is_review: bool) -> bool:
        """Whether it was made for this task as it now reads, and for this side of it."""
        return self.is_review is is_review and (self.prompt or {}).get(ASKED) == prompt.hashes().get(ASKED)

    def text(self) -> str:
        """The run as lines of JSON: what it was, then its answers."""
        head = {
            "recording": FORMAT, "runner": self.runner, "agent": self.agent, "task": self.task,
            "model": self.model, "is_review": self.is_review, "prompt": dict(self.prompt or {}),
            "usage": dict(self.usage or {}),
        }  # fmt: skip
        return "".join(json.dumps(line) + "\n" for line in (head, *self.replies))


def of_run(store: Store, run: str) -> Recording:
    """What the log of a run has, and of a command what it handed in.

    Raises NotFound without answers or where the commit is gone, Refused where some were cut off.
    """
    facts, replies = runlog.facts(store.local, run), runlog.replies(store.local, run)
    if facts.get("is_answer"):
        raise Refused(f"{run} answered a question; only work and reviews can be played again.")
    if not replies:
        raise NotFound(f"{run} kept no answers; only runs of `llm`, `command` and `replay` do.")
    if any(reply.get("kind") in ("cut", "unreadable") for reply in replies):
        raise Refused(f"The answers of {run} were too large for its log, so they can't be played again.")
    runner = "command" if "patch" in replies[0] else "llm"
    handed = facts.get("handed")
    if runner == "command" and isinstance(handed, dict):
        change = patch.binary(store.git, str(handed.get("parent")), str(handed.get("commit")))
        replies = [{**replies[0], "patch": change.decode(errors="surrogateescape")}]
    named = {name: str(facts.get(name) or "") for name in ("agent", "task", "model")}
    return Recording(
        runner,
        **named,
        is_review=bool(facts.get("is_review")),
        prompt=facts.get("prompt") or {},
        usage=_usage(facts.get("usage")),
        replies=tuple(replies),
    )


def parse(text: str, where: str) -> tuple[Recording, ...]:
    """The runs of a recording, one after another. Raises Invalid, with the line."""
    heads: list[Mapping[str, Any]] = []
    replies: list[list[Mapping[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        found = _object(line, f"{where}:{number}")
        if "recording" in found:
            heads.append(_head(found, f"{where}:{number}"))
            replies.append([])
        elif not heads:
            raise Invalid(f'{where}:{number}: a recording begins with a line {{"recording": {FORMAT}, …}}.')
        else:
            replies[-1].append(_reply(found, heads[-1]["runner"], f"{where}:{number}"))
    return tuple(Recording(**head, replies=tuple(said)) for head, said in zip(heads, replies, strict=True))


def choose(found: Sequence[Recording], prompt: Prompt, is_review: bool, where: str) -> Recording:
    """The first run that fits. Raises MissingTool, since no other try would find one."""
    fitting = next((each for each in found if each.fits(prompt, is_review)), None)
    if fitting is None:
        names = (
            ", ".join(f"{each.task}{' (review)' if each.is_review else ''}" for each in found) or "nothing"
        )
        raise MissingTool(
            f"{where} has no answers to this prompt; it was recorded for {names}, and a task that reads "
            "differently has another hash. Record it again: agentos runs record."
        )
    return fitting


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid(f"{where}: a line of a recording is a JSON object; record it again.")
    return found


def _head(found: Mapping[str, Any], where: str) -> dict[str, Any]:
    prompt = found.get("prompt")
    if found["recording"] != FORMAT or found.get("runner") not in ("llm", "command"):
        raise Invalid(f"{where}: a recording of another version or runner; record it again.")
    named = {name: str(found.get(name) or "") for name in ("runner", "agent", "task", "model")}
    is_review = found.get("is_review") is True
    return {
        **named,
        "is_review": is_review,
        "prompt": prompt if isinstance(prompt, dict) else {},
        "usage": _usage(found.get("usage")),
    }


def _usage(found: Any) -> dict[str, float] | None:
    """The figures among what is said of a run's cost, if there are any."""
    said = found if isinstance(found, dict) else {}
    return {name: value for name, value in said.items() if type(value) in (int, float)} or None


def _reply(found: Mapping[str, Any], runner: str, where: str) -> Mapping[str, Any]:
    """An answer with the fields that its runner wants, of their kinds, and no larger than they get."""
    if not (_is_effect(found) if runner == "command" else _is_answer(found)):
        raise Invalid(f"{where}: no answer of the runner {runner}; record it again.")
    size, most = _size(found), MOST[runner]
    if size > most:
        raise Invalid(
            f"{where}: an answer of {size:,} characters; the runner {runner} gives {most:,} at most."
        )
    return found


def _is_answer(found: Mapping[str, Any]) -> bool:
    calls = found.get("calls")
    return isinstance(found.get("text"), str) and isinstance(calls, list) and all(map(_is_call, calls))


def _is_effect(found: Mapping[str, Any]) -> bool:
    """What a command said, and its change: text in which lone surrogates stand for bytes."""
    return _is_text(found.get("said"), "strict") and _is_text(found.get("patch"), "surrogateescape")


def _is_text(found: Any, errors: str) -> bool:
    try:
        return isinstance(found, str) and found.encode(errors=errors) is not None
    except UnicodeEncodeError:
        return False


def _size(found: Mapping[str, Any]) -> int:
    texts = [found.get(name, "") for name in ("text", "said", "patch")]
    return sum(map(len, texts)) + sum(len(part) for call in found.get("calls", ()) for part in call)


def _is_call(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 3 and all(isinstance(part, str) for part in found)
