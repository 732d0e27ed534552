"""One scripted reply as the events of the two other protocols, in streams: Anthropic's Messages, OpenAI's Responses."""

import json
from collections.abc import Iterator
from typing import Any, Protocol


class Said(Protocol):
    """What of a reply these protocols can say."""

    @property
    def text(self) -> str: ...
    @property
    def calls(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def usage(self) -> tuple[int, int] | None: ...


Events = Iterator[dict[str, Any]]


def messages(reply: Said, asked: dict[str, Any]) -> Events:
    """A message in blocks: its text, then each tool call with its arguments in two pieces."""
    into, out = reply.usage or (0, 0)
    about = {"id": "msg_0", "type": "message", "role": "assistant", "model": asked["model"], "content": []}
    usage = {"input_tokens": into, "output_tokens": 0}
    yield {"type": "message_start", "message": about | {"stop_reason": None, "usage": usage}}
    blocks = [({"type": "text", "text": ""}, "text", [reply.text])] if reply.text else []
    for i, (name, arguments) in enumerate(reply.calls):
        use = {"type": "tool_use", "id": f"toolu_{len(asked['messages'])}_{i}", "name": name, "input": {}}
        half = len(arguments) // 2
        blocks.append((use, "partial_json", [arguments[:half], arguments[half:]]))
    for i, (block, key, pieces) in enumerate(blocks):
        yield {"type": "content_block_start", "index": i, "content_block": block}
        kind = "text_delta" if key == "text" else "input_json_delta"
        for piece in pieces:
            yield {"type": "content_block_delta", "index": i, "delta": {"type": kind, key: piece}}
        yield {"type": "content_block_stop", "index": i}
    reason = "tool_use" if reply.calls else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": out}}
    yield {"type": "message_stop"}


def responses(reply: Said, asked: dict[str, Any]) -> Events:
    """A response whose items come whole, with the figures in its last event."""
    turn = len(asked["input"])
    about = {"id": f"resp_{turn}", "object": "response", "model": asked["model"]}
    yield {"type": "response.created", "response": about | {"status": "in_progress", "output": []}}
    items: list[dict[str, Any]] = [
        {"type": "function_call", "call_id": f"call_{turn}_{i}", "name": name, "arguments": arguments}
        for i, (name, arguments) in enumerate(reply.calls)
    ]
    if reply.text:
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        items.insert(0, {"type": "message", "role": "assistant", "content": content})
    for i, item in enumerate(items):
        whole = item | {"id": f"item_{turn}_{i}", "status": "completed"}
        yield {"type": "response.output_item.done", "output_index": i, "item": whole}
    into, out = reply.usage or (0, 0)
    usage = {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}
    yield {"type": "response.completed", "response": about | {"status": "completed", "usage": usage}}


DIALECTS = {"messages": messages, "responses": responses}
"""By the last part of the address that is asked."""


def lines(events: Events) -> Iterator[str]:
    """Events as both protocols stream them."""
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
