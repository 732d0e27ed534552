"""A model behind litellm: one call, streamed, with its failures and figures in our own words. Its one keeper.

litellm takes 3 s of CPU to import and reads its settings from the environment as it is imported
(docs/decisions/0021-litellm-is-set-by-variables.md), so the first call of a run does.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from agentos.model.records import AgentSettings
from agentos.runtime import failures
from agentos.runtime.budget import MOST_TOKENS, MOST_USD, Usage, figure
from agentos.runtime.failures import Failed, MissingKey, MissingTool, ProviderDown, RateLimited, TimedOut

MOST_ANSWER = 256 << 10
"""Characters of one answer that are kept; what a model says beyond them is counted and dropped."""

_SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the import fetches the prices from the network
    "LITELLM_MODE": "PRODUCTION",  # else the import loads any .env file it finds
}


class TooLong(Failed):
    """The messages do not fit into the model's context."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the model wrote it; the arguments are JSON, or were meant to be."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model answered, and what that took."""

    text: str
    calls: tuple[Call, ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Model:
    """Which model, how it is reached, and the variables that its keys may be among."""

    name: str
    settings: AgentSettings
    env: Mapping[str, str]

    def ask(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        form: Mapping[str, Any] | None = None,
        *,
        seconds: float,
        on_text: Callable[[str], None] = lambda _: None,
    ) -> Answer:
        """One call, over after so many seconds. `form` is the JSON Schema that the whole answer must fit.

        Raises the failures of a run; a failed call is never tried again here.
        """
        lib = _litellm()
        self._require_provider(lib)
        asked = {"model": self.name, "messages": list(messages)} | self._options(lib, tools, form)
        until = time.monotonic() + seconds
        try:
            came = lib.completion(**asked, timeout=seconds)
            parts = came if self.settings.stream else [came]
            return _gather(lib, self.name, _in_time(parts, until, seconds), on_text)
        except _failures(lib) as error:
            raise self._translated(lib, error, seconds) from None

    def _require_provider(self, lib: Any) -> None:
        try:
            lib.get_llm_provider(self.name)
        except lib.exceptions.BadRequestError:
            raise MissingTool(
                f"Whose model is {self.name!r}? Write the provider before it, such as openai/{self.name}."
            ) from None

    def _options(
        self, lib: Any, tools: Sequence[Mapping[str, Any]], form: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        settings = self.settings
        options: dict[str, Any] = {"num_retries": 0, "max_retries": 0, "drop_params": True}
        options |= self._access(lib)
        if settings.stream:
            options |= {"stream": True, "stream_options": {"include_usage": True}}
        if tools:
            options["tools"] = list(tools)
        if form:
            options["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "action", "schema": form, "strict": True},
            }
        stated = {
            "temperature": settings.temperature,
            "seed": settings.seed,
            "max_tokens": settings.max_output_tokens,
        }
        return options | {name: value for name, value in stated.items() if value is not None}

    def _access(self, lib: Any) -> dict[str, str]:
        """The address and the key. Raises MissingKey, which names the variable that is not set."""
        found = {"api_base": self.settings.api_base} if self.settings.api_base else {}
        wanted = self._variables(lib)
        bases = [name.replace("_API_KEY", "_API_BASE") for name in wanted if name.endswith("_API_KEY")]
        for name in (*wanted, *bases):
            if self.env.get(name):
                found.setdefault(_argument(name), self.env[name])
        if "api_key" in found or "aws_access_key_id" in found:
            return found
        keys = [name for name in wanted if not name.endswith(("_BASE", "_VERSION"))]
        if keys and "api_base" not in found:
            raise MissingKey(
                f"No key for the model {self.name}: set {' or '.join(keys)} in the environment, or for "
                "unattended runs in ~/.config/agentos/env (mode 0600)."
            )
        # A local server asks for none, but the client wants one; a server that does want one says 401.
        return found | ({"api_key": "none"} if "api_base" in found else {})

    def _variables(self, lib: Any) -> list[str]:
        """The variables that the key of this model's provider may be in."""
        if self.settings.api_key_env:
            return [self.settings.api_key_env]
        return list(lib.validate_environment(self.name)["missing_keys"])

    def _translated(self, lib: Any, error: Any, seconds: float) -> Failed:
        """litellm's error as one of ours; the most special first."""
        status = getattr(error, "status_code", None)
        said = f"{self.name}: {_first_line(error)}"
        if isinstance(error, lib.exceptions.ContextWindowExceededError):
            return TooLong(said)
        if isinstance(error, lib.exceptions.Timeout):
            return TimedOut(f"{self.name} did not answer within {seconds:.0f} s.")
        kind = failures.of_status(status)
        if kind is MissingKey:
            names = " or ".join(self._variables(lib)) or "the key"
            return MissingKey(f"The key was refused ({status}) by {self.name}; look at {names}.")
        if kind is MissingTool:
            return MissingTool(f"{said}. Look at `model`, `api_base` and the settings in the agent's file.")
        if kind is RateLimited:
            said = f"{self.name} wants us to wait ({status}): {_first_line(error)}"
            return RateLimited(said, after=hint(_headers(error)))
        where = self._access(lib).get("api_base")
        at = f" (at {where})" if where else ""
        return ProviderDown(f"{said}{at}", after=hint(_headers(error)))


@cache
def _litellm() -> Any:
    """The library, set up so that it says nothing, phones nobody, and reads no file of the project."""
    os.environ.update(_SETTINGS)
    try:
        import litellm
    except ImportError:
        raise MissingTool(
            "The llm runner needs litellm: pip install '.[llm]' in a clone of AgentOS."
        ) from None
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.disable_hf_tokenizer_download = True
    return litellm


def _failures(lib: Any) -> tuple[type[Exception], ...]:
    """The exceptions of a call: one of these, or of their children."""
    names = lib.exceptions
    return (
        names.APIError,
        names.APIConnectionError,
        names.APIResponseValidationError,
        names.AuthenticationError,
        names.BadGatewayError,
        names.BadRequestError,
        names.InternalServerError,
        names.NotFoundError,
        names.PermissionDeniedError,
        names.RateLimitError,
        names.ServiceUnavailableError,
        names.Timeout,
        names.UnprocessableEntityError,
    )


def _in_time(parts: Any, until: float, seconds: float) -> Iterator[Any]:
    """The parts of an answer; a server that keeps sending crumbs is stopped as well."""
    for part in parts:
        if time.monotonic() > until:
            raise TimedOut(f"The model was still answering after {seconds:.0f} s.")
        yield part


def _gather(lib: Any, name: str, parts: Iterator[Any], on_text: Callable[[str], None]) -> Answer:
    """One answer from its parts, whole or streamed; the finish reason is not looked at, since it lies."""
    text: list[str] = []
    calls: dict[int, list[str]] = {}
    room, usage = MOST_ANSWER, None
    for part in parts:
        usage = getattr(part, "usage", None) or usage
        for choice in part.choices[:1]:
            said = getattr(choice, "delta", None) or choice.message
            for into, piece in _pieces(said, text, calls):
                piece = sound(piece)[:room]
                room -= len(piece)
                into.append(piece)
                if into is text and piece:
                    on_text(piece)
    made = [Call(call[0], call[1], "".join(call[2:])) for _, call in sorted(calls.items())]
    return Answer("".join(text), tuple(made), _usage(lib, name, usage))


def _pieces(said: Any, text: list[str], calls: dict[int, list[str]]) -> Iterator[tuple[list[str], str]]:
    """Each piece of text or of a call's arguments, with the list that it belongs to."""
    if said.content:
        yield text, said.content
    for i, call in enumerate(said.tool_calls or []):
        index = i if getattr(call, "index", None) is None else call.index
        known = calls.setdefault(index, [f"call_{index}", ""])
        known[0] = call.id or known[0]
        known[1] += sound(call.function.name or "")[:100]
        yield known, call.function.arguments or ""


def _usage(lib: Any, name: str, usage: Any) -> Usage:
    """What the provider says it took; the price is the provider's own, else litellm's, else unknown."""
    if usage is None:
        return Usage()
    said = (usage.prompt_tokens, usage.completion_tokens)
    into, out = (int(figure(each, MOST_TOKENS) or 0) for each in said)
    usd = figure(getattr(usage, "cost", None), MOST_USD)
    if usd is None:
        known = usage if (into, out) == said else lib.Usage(prompt_tokens=into, completion_tokens=out)
        reply = lib.ModelResponse(model=name, usage=known)
        unpriced = (lib.exceptions.ModelNotMappedError, lib.exceptions.BadRequestError, OverflowError)
        with suppress(*unpriced):
            usd = figure(lib.completion_cost(completion_response=reply, model=name), MOST_USD)
    return Usage(into, out, usd)


def sound(text: str) -> str:
    """The text as UTF-8 can hold it: half a surrogate pair becomes a question mark."""
    return text.encode(errors="replace").decode()


def hint(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` asks for; a date is counted from the answer's own `Date`."""
    from email.utils import parsedate_to_datetime

    wanted = headers.get("retry-after", "")
    if re.fullmatch(r"\d{1,9}(\.\d+)?", wanted):
        return float(wanted)
    with suppress(ValueError):
        sent = parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (parsedate_to_datetime(wanted) - sent).total_seconds())
    return None


def _headers(error: Any) -> dict[str, str]:
    found = getattr(error, "litellm_response_headers", None) or {}
    return {str(name).lower(): str(value) for name, value in dict(found).items()}


def _first_line(error: Any) -> str:
    """What a provider said, short; the names of litellm's classes in front of it tell nobody anything."""
    said = sound(str(error)).strip().splitlines() or [""]
    return (
        re.sub(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)(?::| -)\s*)+", "", said[0])
        .partition(" Original exception")[0][:300]
        .rstrip(".")
    )


def _argument(variable: str) -> str:
    """The argument that a provider's variable is passed as."""
    for ending in ("_API_KEY", "_API_BASE", "_API_VERSION"):
        if variable.endswith(ending):
            return ending[1:].lower()
    return variable.lower() if variable.startswith("AWS_") else "api_key"
