"""A real HTTP server on 127.0.0.1 that speaks the protocols of model providers and answers from a script.

Chat completions whole and in streams; Messages and Responses (dialects.py) in streams alone.
"""

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from dialects import DIALECTS, lines


@dataclass(frozen=True)
class Reply:
    """One answer of the script: what the model says, or how the server fails."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """Tool calls, as a name and its arguments in JSON, which may be broken."""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    usage: tuple[int, int] | None = (100, 10)
    """Tokens in and out; None: the server does not say."""
    cost: float | None = None
    """The price, where the provider says it."""
    pause: float = 0
    """Seconds before each piece of a stream."""
    hangs: bool = False
    """Says nothing until the server is closed."""
    drops: bool = False
    """Cuts the line in the middle of the answer."""


def say(text: str, **more: Any) -> Reply:
    return Reply(text, **more)


def call(tool: str, /, **arguments: Any) -> Reply:
    return Reply(calls=((tool, json.dumps(arguments)),))


def act(tool: str, /, **arguments: Any) -> Reply:
    """One action as a model in JSON mode writes it."""
    return Reply(json.dumps({"tool": tool, "arguments": arguments}))


def fail(status: int, message: str = "", **headers: str) -> Reply:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply(message or f"scripted {status}", status=status, headers=named)


@dataclass
class Server:
    """What is to be answered, and what was asked so far."""

    script: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """The `Authorization` of each request, or Anthropic's `X-Api-Key`."""
    url: str = ""
    closed: threading.Event = field(default_factory=threading.Event)

    def answers(self, *replies: Reply) -> None:
        """A new script, and nothing asked so far."""
        self.script[:] = replies
        self.requests.clear()
        self.keys.clear()

    def said(self) -> str:
        """Everything that was in the messages of the last request."""
        last = self.requests[-1]
        return json.dumps(last["input" if "input" in last else "messages"], ensure_ascii=False)


@contextmanager
def serve(replies: Sequence[Reply] = ()) -> Iterator[Server]:
    """A server on a free port, for the time of a `with`."""
    server = Server(list(replies))

    class Handler(_Handler):
        script = server

    http = _Http(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closed.set()
        http.shutdown()
        thread.join()
        http.server_close()


class _Http(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is what some tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    script: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Nothing: the requests are kept."""

    def do_GET(self) -> None:
        """Codex asks for a web socket first; this answer has it go on without one at once."""
        self.send_error(426)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.script.requests.append(asked)
        self.script.keys.append(self.headers.get("Authorization") or self.headers.get("X-Api-Key") or "")
        reply = self.script.script.pop(0) if self.script.script else fail(500)
        if reply.hangs:
            self.script.closed.wait()
            self.close_connection = True
        elif reply.status != 200:
            self._send(reply, json.dumps({"error": {"message": reply.text}}))
        elif asked.get("stream"):
            self._stream(reply, list(_pieces(urlsplit(self.path).path, reply, asked)))
        else:
            self._send(reply, json.dumps(_answer(reply, asked)))

    def _send(self, reply: Reply, body: str) -> None:
        data = body.encode(errors="replace")
        self.send_response(reply.status)
        for name, value in (("Content-Type", "application/json"), *reply.headers):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if reply.drops else data)
        self.close_connection = reply.drops

    def _stream(self, reply: Reply, pieces: list[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces[: len(pieces) // 2] if reply.drops else pieces:
            line = piece.encode()
            self.script.closed.wait(reply.pause)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if reply.drops:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


def _pieces(path: str, reply: Reply, asked: dict[str, Any]) -> Iterator[str]:
    """The answer as the lines of a stream, in the protocol of the address that was asked."""
    dialect = DIALECTS.get(path.rpartition("/")[2])
    if dialect:
        yield from lines(dialect(reply, asked))
    else:
        yield from (f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(reply, asked))
        yield "data: [DONE]\n\n"


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "index": i,
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for i, (name, arguments) in enumerate(reply.calls)
    ]


def _usage(reply: Reply) -> dict[str, Any]:
    if reply.usage is None:
        return {}
    into, out = reply.usage
    cost = {} if reply.cost is None else {"cost": reply.cost}
    return {"usage": {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out} | cost}


def _answer(reply: Reply, asked: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text or None}
    if reply.calls:
        message |= {"tool_calls": _calls(reply)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    about = {"id": "x", "object": "chat.completion", "created": 0, "model": asked["model"]}
    return about | {"choices": [choice]} | _usage(reply)


def _chunks(reply: Reply, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answer in small pieces: a tool's arguments come in two, as real servers send them."""
    about = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": asked["model"]}

    def piece(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return about | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    yield piece({"role": "assistant", "content": ""})
    step = max(8, len(reply.text) // 20)
    for start in range(0, len(reply.text), step):
        yield piece({"content": reply.text[start : start + step]})
    for one in _calls(reply):
        arguments = one["function"]["arguments"]
        half = len(arguments) // 2
        yield piece({"tool_calls": [one | {"function": one["function"] | {"arguments": arguments[:half]}}]})
        yield piece({"tool_calls": [{"index": one["index"], "function": {"arguments": arguments[half:]}}]})
    yield piece({}, "stop")
    if reply.usage and (asked.get("stream_options") or {}).get("include_usage"):
        yield about | {"choices": []} | _usage(reply)
