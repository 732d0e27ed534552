"""Reports: what a coding command line says it did and took, read from what it printed or wrote.

Known are the JSON of Claude Code and of mini-swe-agent, the JSON lines of Codex, and the last lines of Aider;
of anything else its text is kept and its cost is unknown. docs/agents.md has a command line for each.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentos.runtime.budget import Usage

_AIDER = re.compile(r"Tokens: ([\d.,]+k?) sent(?:,[^\n]*?)?, ([\d.,]+k?) received\.?", re.ASCII)
_AIDER_COST = re.compile(r"Cost: \$[\d.]+ message, \$([\d.]+) session", re.ASCII)

_INPUTS = ("input_tokens", "prompt_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_OUTPUTS = ("output_tokens", "completion_tokens")

MOST_BYTES = 32 << 20
"""Of a report that is read; a trajectory holds everything that was said."""

MOST_TOKENS, MOST_USD = 10**12, 1e9
"""No run takes more; what claims to is not believed."""


@dataclass(frozen=True, slots=True)
class Report:
    """The last message, what it took, and whether it calls itself a failure."""

    text: str
    usage: Usage = field(default_factory=Usage)
    is_error: bool = False


def read(output: str) -> Report:
    """What the output of a command line says of its run; never raises, whatever it is."""
    found = [each for each in _objects(output) if isinstance(each, dict)]
    for make in (_claude, _codex, _trajectory):
        report = make(found)
        if report is not None:
            return report
    return _aider(output)


def _objects(output: str) -> Iterator[Any]:
    """The whole text as JSON, else each of its lines that is."""
    for text in (output, *output.splitlines()):
        if text.lstrip().startswith("{"):
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                continue
            yield found
            if text is output:
                return


def _claude(found: list[dict[str, Any]]) -> Report | None:
    """`claude --output-format json` or `stream-json`: one object of the type `result` at the end."""
    result = next((each for each in reversed(found) if each.get("type") == "result"), None)
    if result is None:
        return None
    usage = _usage(result.get("usage"), result.get("total_cost_usd"))
    return Report(_text(result.get("result")), usage, result.get("is_error") is True)


def _codex(found: list[dict[str, Any]]) -> Report | None:
    """`codex exec --json`: messages as items; each end of a turn has the totals of the thread."""
    if not any(str(each.get("type", "")).startswith(("thread.", "turn.")) for each in found):
        return None
    items = [each["item"] for each in found if isinstance(each.get("item"), dict)]
    said = [item.get("text") for item in items if item.get("type") == "agent_message"]
    ends = [each for each in found if each.get("type") == "turn.completed"]
    failed = [each for each in found if each.get("type") in ("turn.failed", "error")]
    is_error = bool(failed) and not ends
    text = _text(said[-1] if said else None) or (json.dumps(failed[-1]) if is_error else "")
    return Report(text, _usage(ends[-1].get("usage") if ends else None, None), is_error)


def _trajectory(found: list[dict[str, Any]]) -> Report | None:
    """The trajectory of mini-swe-agent: the cost in its `info`, tokens in each answer's `extra.response`."""
    whole = next((each for each in found if isinstance(each.get("info"), dict) and "messages" in each), None)
    if whole is None or not isinstance(whole["messages"], list):
        return None
    total = Usage()
    for message in whole["messages"]:
        extra = message.get("extra") if isinstance(message, dict) else None
        response = extra.get("response") if isinstance(extra, dict) else None
        total += _usage(response.get("usage") if isinstance(response, dict) else None, None)
    info = whole["info"]
    stats = info.get("model_stats")
    cost = _amount(stats.get("instance_cost"), MOST_USD) if isinstance(stats, dict) else None
    text = _text(info.get("submission")) or _text(info.get("exit_status"))
    # It counts 0 where it does not know the price of a model.
    return Report(text, Usage(total.input_tokens, total.output_tokens, cost or None))


def _aider(output: str) -> Report:
    """Aider prints its figures after each answer; the cost of the session is a running total."""
    counts = [(_count(sent), _count(received)) for sent, received in _AIDER.findall(output)]
    costs = [_amount(text, MOST_USD) for text in _AIDER_COST.findall(output)]
    usage = Usage(
        sum(sent for sent, _ in counts), sum(received for _, received in counts), costs[-1] if costs else None
    )
    return Report(output.strip(), usage)


def _usage(found: Any, usd: Any) -> Usage:
    """Tokens by the names that providers have; Claude Code counts apart what came from a cache."""
    named: Mapping[str, Any] = found if isinstance(found, dict) else {}
    into, out = (sum(_tokens(named.get(name)) for name in names) for names in (_INPUTS, _OUTPUTS))
    return Usage(into, out, _amount(usd, MOST_USD))


def _tokens(value: Any) -> int:
    return int(_amount(value, MOST_TOKENS) or 0)


def _amount(value: Any, most: float) -> float | None:
    """A figure as a number; None for what is none, or is beyond belief."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number <= most else None


def _count(text: str) -> int:
    """`1.2k` is 1,200."""
    factor = 1000 if text.endswith("k") else 1
    return int((_amount(text.rstrip("k").replace(",", ""), MOST_TOKENS) or 0) * factor)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
