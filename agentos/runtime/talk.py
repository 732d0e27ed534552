"""The conversation of one run as values: what was said, called and answered, kept under a budget of bytes."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentos.runtime.prompt import fence
from agentos.runtime.provider import Call, sound

ROOM = 0.6
"""To how much of its budget a conversation is cut. Well below it, so that the messages then stay as they are
for a while, and a provider's cache of them holds."""

FRESH = 2
"""The last turns, which are cut last."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model, the results of what it called, and what we have to say about it."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[str, ...] = ()
    note: str = ""

    @property
    def size(self) -> int:
        """Bytes of all of it, about as the model is sent it."""
        texts = [self.text, self.note, *self.results, *(call.arguments for call in self.calls)]
        return sum(len(text.encode(errors="replace")) for text in texts)


def messages(system: str, task: str, turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The conversation as providers take it; the task is always whole, and always there."""
    said = [{"role": "system", "content": system}, {"role": "user", "content": task}]
    for turn in turns:
        said += _turn(turn)
    return said


def _turn(turn: Turn) -> Iterator[dict[str, Any]]:
    native = [(i, call) for i, call in enumerate(turn.calls) if call.id]
    answer: dict[str, Any] = {"role": "assistant", "content": turn.text or ("" if native else "(no answer)")}
    if native:
        answer["tool_calls"] = [_call(call) for _, call in native]
    yield answer
    for i, call in native:
        yield {"role": "tool", "tool_call_id": call.id, "content": turn.results[i]}
    texts = [(call, turn.results[i]) for i, call in enumerate(turn.calls) if not call.id]
    rest = [f"Result of {call.name}:\n{fence(call.name, result)}" for call, result in texts]
    if rest or turn.note:
        yield {"role": "user", "content": "\n\n".join([*rest, *([turn.note] if turn.note else [])])}


def _call(call: Call) -> dict[str, Any]:
    """A call as it is sent back: a name and arguments that every provider can read."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", call.name)[:64] or "unknown"
    function = {"name": name, "arguments": json.dumps(arguments(call) or {})}
    return {"id": call.id, "type": "function", "function": function}


def arguments(call: Call) -> dict[str, Any] | None:
    """The arguments as an object, of text that UTF-8 can hold; None where they are none."""
    try:
        data = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return _sound(data) if isinstance(data, dict) else None


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, list):
        return [_sound(item) for item in value]
    if isinstance(value, dict):
        return {sound(key): _sound(item) for key, item in value.items()}
    return value


def fit(turns: Sequence[Turn], most: int) -> tuple[Turn, ...]:
    """The same conversation in at most about `most` bytes: old results become summaries, then go."""
    if sum(turn.size for turn in turns) <= most:
        return tuple(turns)
    goal = int(most * ROOM)
    kept = _shortened(list(turns), goal, len(turns) - FRESH)
    first = 0
    while first < len(kept) - FRESH and _size(kept[first:]) > goal:
        first += 1
    kept = kept[first:]
    if first:
        kept.insert(0, Turn("…", note=f"({first} earlier steps are left out here.)"))
    return tuple(_shortened(kept, most, len(kept)))


def _shortened(turns: list[Turn], goal: int, until: int) -> list[Turn]:
    """The oldest turns in brief, as many as it takes."""
    size = _size(turns)
    for i in range(until):
        if size <= goal:
            break
        short = brief(turns[i])
        size += short.size - turns[i].size
        turns[i] = short
    return turns


def _size(turns: Iterable[Turn]) -> int:
    return sum(turn.size for turn in turns)


def brief(turn: Turn) -> Turn:
    """A turn with summaries in place of its results, and its long arguments cut."""
    results = tuple(summary(call, result) for call, result in zip(turn.calls, turn.results, strict=True))
    calls = tuple(replace(call, arguments=_cut_arguments(call)) for call in turn.calls)
    return replace(turn, text=_cut(turn.text, 500), calls=calls, results=results)


def summary(call: Call, result: str) -> str:
    """What a result was, in a few lines: tool, arguments, its first and last lines, its size."""
    if len(result) <= 400:
        return result
    lines = result.splitlines()
    ends = "\n".join([*(line[:100] for line in lines[:2]), "…", *(line[:100] for line in lines[-2:])])
    given = _cut(call.arguments, 100)
    return f"[{call.name} {given}: {len(lines):,} lines, {len(result):,} characters, in short:]\n{ends}"


def _cut_arguments(call: Call) -> str:
    data = arguments(call)
    if data is None:
        return "{}"
    return json.dumps(
        {key: _cut(value, 200) if isinstance(value, str) else value for key, value in data.items()},
        ensure_ascii=False,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"
