"""Actions in plain text: telling a model without tool calls of the tools, and reading its actions."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentos.errors import Usage
from agentos.runtime.provider import Call

MOST_TRIES = 100
"""Braces of one text at which an action is looked for."""

_NAMES, _ARGUMENTS = ("tool", "name", "function"), ("arguments", "parameters", "input", "args")

Schemas = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Each tool's description and the JSON Schema of its arguments, by name."""


def form(schemas: Schemas) -> dict[str, Any]:
    """The JSON Schema of one action, for servers that make a model keep to one."""
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {"tool": {"const": name}, "arguments": plain(schema)},
                "required": ["tool", "arguments"],
                "additionalProperties": False,
            }
            for name, (_, schema) in schemas.items()
        ]
    }


def plain(schema: Any) -> Any:
    """A schema without titles, which small models take for values."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: {name: plain(inner) for name, inner in value.items()} if key == "properties" else plain(value)
        for key, value in schema.items()
        if key != "title"
    }


def manual(schemas: Schemas) -> str:
    """The tools in words, with the one way to use them."""
    lines = ['Answer with one action at a time, as JSON alone: {"tool": "NAME", "arguments": {…}}', ""]
    for name, (description, schema) in schemas.items():
        arguments = schema.get("properties", {})
        required = schema.get("required", ())
        shown = ", ".join(key if key in required else f"{key}?" for key in arguments)
        lines.append(f"- {name}({shown}): {description}")
    return "\n".join(lines)


def found(text: str, names: Mapping[str, Any]) -> tuple[Call, ...]:
    """The actions that a text names, in order; none for a text that is only words.

    Raises Usage for what begins as an action and is no JSON to its end.
    """
    actions = [action for data in _objects(text) if (action := _action(data, names))]
    broken = re.search(r'\{\s*"(tool|name)"\s*:', text)
    if not actions and broken:
        try:
            json.loads(text[broken.start() :])
        except json.JSONDecodeError as error:
            raise Usage(f"That is half a JSON: {error.msg} at character {error.pos}.") from None
        except RecursionError:
            raise Usage("That JSON is nested too deeply.") from None
    return tuple(actions)


def _objects(text: str) -> Iterator[Any]:
    """Every JSON object that stands in a text, outermost and in order."""
    decode = json.JSONDecoder().raw_decode
    start = text.find("{")
    for _ in range(MOST_TRIES):
        if start < 0:
            return
        try:
            data, end = decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            yield data
        start = text.find("{", end)


def _action(data: Mapping[str, Any], names: Mapping[str, Any]) -> Call | None:
    """The call that an object means, if any; a name that is no tool's is a call if it has arguments."""
    inner = data.get("function")
    if isinstance(inner, dict):
        data = inner
    said = next((key for key in _NAMES if isinstance(data.get(key), str)), None)
    arguments = next((data[key] for key in _ARGUMENTS if key in data), None)
    if said is None or (arguments is None and data[said] not in names):
        return None
    if arguments is None:
        arguments = {key: value for key, value in data.items() if key != said}
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return Call("", data[said], arguments)
