"""Reports: what a coding command line says it did and took, read from what it printed or wrote.

Known are the JSON of Claude Code and of mini-swe-agent, the JSON lines of Codex, and the last lines of Aider;
of anything else its text is kept and its cost is unknown. docs/agents.md has a command line for each.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentos.runtime import failures
from agentos.runtime.budget import MOST_TOKENS, MOST_USD, Usage, figure
from agentos.runtime.failures import Failed, MissingKey, ProviderDown

_AIDER = re.compile(r"Tokens: ([\d.,]+k?) sent(?:,[^\n]*?)?, ([\d.,]+k?) received\.?", re.ASCII)
_AIDER_COST = re.compile(r"Cost: \$[\d.]+ message, \$([\d.]+) session", re.ASCII)

_AIDER_NAME = re.compile(r"^Aider v\d", re.MULTILINE)
"""What it begins with; an error of litellm's that another command prints is no failure of that command."""

_LITELLM = re.compile(r"^litellm\.(\w+):", re.MULTILINE)
_STATUSES = {
    "AuthenticationError": 401, "PermissionDeniedError": 403, "NotFoundError": 404, "BadRequestError": 400,
    "UnprocessableEntityError": 422, "RateLimitError": 429, "InternalServerError": 500, "APIError": 500,
    "BadGatewayError": 502, "ServiceUnavailableError": 503, "APIConnectionError": 503, "Timeout": 504,
}  # fmt: skip
"""The statuses that litellm, which Aider and mini-swe-agent ask, has errors for."""

_CODEX_STATUS = re.compile(r"\bstatus:? (\d{3})\b")
_CODEX_DOWN = re.compile(r"Connection failed|stream disconnected|experiencing high demand")
_NO_KEY = re.compile(r"Not logged in|Invalid API key|Missing environment variable")
"""How Claude Code and Codex say that they have no key, before they ask anybody."""

_INPUTS = (
    "input_tokens", "prompt_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
    "inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens",
)  # fmt: skip
_OUTPUTS = ("output_tokens", "completion_tokens", "outputTokens")

MOST_BYTES = 32 << 20
"""Of a report that is read; a trajectory holds everything that was said."""


@dataclass(frozen=True, slots=True)
class Report:
    """The last message, what it took, and what kind of failure it calls itself, if one."""

    text: str
    usage: Usage = field(default_factory=Usage)
    failure: type[Failed] | None = None


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
    usage = _claude_usage(result)
    said, status = result.get("result") or result.get("errors"), result.get("api_error_status")
    text = _text("; ".join(map(str, said)) if isinstance(said, list) else said)
    failure = Failed if result.get("is_error") is True else None
    if failure and _NO_KEY.search(text):
        failure = MissingKey
    elif failure and result.get("terminal_reason") == "api_error":
        failure = failures.of_status(status if isinstance(status, int) else None)
    return Report(text, usage, failure)


def _claude_usage(result: dict[str, Any]) -> Usage:
    """All that its models took; `usage` beside it is without what agents of its own took."""
    models = result.get("modelUsage")
    total = Usage()
    for each in models.values() if isinstance(models, dict) else ():
        total += _usage(each, None)
    if not total.tokens:
        return _usage(result.get("usage"), result.get("total_cost_usd"))
    return Usage(total.input_tokens, total.output_tokens, figure(result.get("total_cost_usd"), MOST_USD))


def _codex(found: list[dict[str, Any]]) -> Report | None:
    """`codex exec --json`: messages as items; each end of a turn has the totals of the thread."""
    if not any(str(each.get("type", "")).startswith(("thread.", "turn.")) for each in found):
        return None
    items = [each["item"] for each in found if isinstance(each.get("item"), dict)]
    said = [item.get("text") for item in items if item.get("type") == "agent_message"]
    ends = [each for each in found if each.get("type") == "turn.completed"]
    failed = [each for each in found if each.get("type") in ("turn.failed", "error")]
    if not failed or ends:
        usage = _usage(ends[-1].get("usage") if ends else None, None)
        return Report(_text(said[-1] if said else None), usage)
    error = failed[-1].get("error", failed[-1])
    text = _text(error.get("message")) if isinstance(error, dict) else ""
    return Report(text or json.dumps(failed[-1]), failure=_codex_failure(text))


def _codex_failure(text: str) -> type[Failed]:
    status = _CODEX_STATUS.search(text)
    if _NO_KEY.search(text):
        return MissingKey
    if status:
        return failures.of_status(int(status[1]))
    return ProviderDown if _CODEX_DOWN.search(text) else Failed


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
    cost = figure(stats.get("instance_cost"), MOST_USD) if isinstance(stats, dict) else None
    ended = _text(info.get("exit_status"))
    is_failed = ended not in ("", "Submitted")
    last = whole["messages"][-1] if is_failed and whole["messages"] else None
    text = _text(last.get("content")) if isinstance(last, dict) else _text(info.get("submission"))
    # It counts 0 where it does not know the price of a model.
    usage = Usage(total.input_tokens, total.output_tokens, cost or None)
    return Report(text or ended, usage, _litellm_failure(ended) if is_failed else None)


def _litellm_failure(name: str) -> type[Failed]:
    return failures.of_status(_STATUSES[name]) if name in _STATUSES else Failed


def _aider(output: str) -> Report:
    """Aider prints its figures after each answer; the cost of the session is a running total.

    It leaves with 0 whatever happened: it has failed where an error of litellm's is the last that it met.
    """
    counts = [(_count(sent), _count(received)) for sent, received in _AIDER.findall(output)]
    costs = [figure(text, MOST_USD) for text in _AIDER_COST.findall(output)]
    usage = Usage(
        sum(sent for sent, _ in counts), sum(received for _, received in counts), costs[-1] if costs else None
    )
    answered = max((found.end() for found in _AIDER.finditer(output)), default=0)
    errors = list(_LITELLM.finditer(output, answered))
    if errors and _AIDER_NAME.search(output):
        return Report(output[errors[-1].start() :].strip(), usage, _litellm_failure(errors[-1][1]))
    return Report(output.strip(), usage)


def _usage(found: Any, usd: Any) -> Usage:
    """Tokens by the names that providers have; Claude Code counts apart what came from a cache."""
    named: Mapping[str, Any] = found if isinstance(found, dict) else {}
    into, out = (sum(_tokens(named.get(name)) for name in names) for names in (_INPUTS, _OUTPUTS))
    return Usage(into, out, figure(usd, MOST_USD))


def _tokens(value: Any) -> int:
    return int(figure(value, MOST_TOKENS) or 0)


def _count(text: str) -> int:
    """`1.2k` is 1,200."""
    factor = 1000 if text.endswith("k") else 1
    return int((figure(text.rstrip("k").replace(",", ""), MOST_TOKENS) or 0) * factor)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
