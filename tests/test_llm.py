"""The llm runner through the real litellm, against a scripted server on 127.0.0.1."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Scratch
from openai_server import Reply, Server, act, call, fail, say, serve

from agentos.actions import tasks
from agentos.errors import AgentOSError
from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.model.rules import Assignment
from agentos.runtime import bubblewrap, provider, speech, talk
from agentos.runtime.budget import Cap, Meter
from agentos.runtime.failures import (
    Capped,
    Failed,
    MissingKey,
    MissingTool,
    ProviderDown,
    RateLimited,
    TimedOut,
)
from agentos.runtime.heartbeat import beat
from agentos.runtime.outbox import Comment, Submit
from agentos.runtime.prompt import Part, Prompt
from agentos.runtime.runlog import RunLog
from agentos.runtime.runners import RUNNERS, Work
from agentos.runtime.sandbox import Off
from agentos.runtime.workspace import Workspace
from agentos.store.draft import Draft

FOREIGN: list[str] = []
"""Every address but loopback that anything in this process asked for while this module ran."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server; from before litellm's import until the end, nothing may look beyond 127.0.0.1."""
    is_on = True

    def listen(event: str, args: tuple[Any, ...]) -> None:
        if is_on and event in ("socket.connect", "socket.getaddrinfo"):
            address = args[1] if event == "socket.connect" else args[0]
            host = address[0] if isinstance(address, tuple) else str(address)
            if host not in ("127.0.0.1", "localhost"):
                FOREIGN.append(f"{event} {address}")

    sys.addaudithook(listen)
    provider._litellm()  # imported here, so that no test's own clock counts it
    with serve() as running:
        yield running
    is_on = False


@pytest.fixture
def room(tmp_path: Path) -> Workspace:
    root = tmp_path / "room"
    root.mkdir()
    (root / "notes.txt").write_text("one\ntwo\nthree\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return Workspace("TASK-001-x", root, tmp_path / "home", "agentos/TASK-001-x", "")


def work(
    server: Server, room: Workspace, model: str = "openai/tiny", is_review: bool = False, **settings: Any
) -> Work:
    """A piece of work for an agent of this server; `log` writes beside the workspace."""
    fields = {"runner": "llm", "api_base": server.url} | settings
    agent = Agent.make("agents/ada.md", {"name": "ada", "model": model, "agentos": fields})
    task = Task.make(
        "board/tasks/TASK-001-x.md", {"title": "X", "status": "in_progress", "assignees": ["ada"]}
    )
    prompt = Prompt((Part("rules", "Be brief."), Part("task", "Look into notes.txt.")))
    log = RunLog(room.path.parent / "log")
    return Work(agent, task, Board(), is_review, workspace=room, sandbox=Off(), log=log, prompt=prompt)


def logged(room: Workspace, kind: str) -> list[dict[str, Any]]:
    lines = (room.path.parent / "log" / "log.jsonl").read_text().splitlines()
    return [event for line in lines if (event := json.loads(line))["kind"] == kind]


run = RUNNERS["llm"]


@pytest.mark.parametrize("stream", [True, False])
def test_tools_are_called_natively_streamed_or_not(server: Server, room: Workspace, stream: bool) -> None:
    server.answers(
        say("I look first.", calls=(("read", '{"path": "notes.txt", "last": 2}'),)),
        call("edit", path="notes.txt", old="two", new="TWO"),
        call("comment", text="It was two."),
        call("finish", summary="Two is TWO."),
    )
    job = work(server, room, stream=stream)
    outbox = run(job)
    assert outbox.actions == (Comment("It was two."), Submit("Two is TWO."))
    assert (room.path / "notes.txt").read_text() == "one\nTWO\nthree\n"
    assert (outbox.usage.input_tokens, outbox.usage.output_tokens, outbox.usage.usd) == (400, 40, None)
    first, second = server.requests[:2]
    assert first["model"] == "tiny" and first.get("stream", False) is stream
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert {tool["function"]["name"] for tool in first["tools"]} >= {"read", "run", "comment", "finish"}
    assert second["messages"][2]["content"] == "I look first."
    assert second["messages"][3] == {
        "role": "tool",
        "tool_call_id": "call_0",
        "content": "(lines 1 to 2 of 3)\none\ntwo\n",
    }
    if stream:
        assert [event["text"] for event in logged(room, "text")] == ["I look first."]
    assert [event["tool"] for event in logged(room, "call")] == ["read", "edit", "comment", "finish"]


def test_a_small_model_answers_one_action_as_json(server: Server, room: Workspace) -> None:
    server.answers(
        act("write", path="new.txt", content="hello\n"),
        say('Sure! Here it is:\n```json\n{"name": "list", "parameters": {}}\n```'),
        act("read", path="data/x"),
        act("finish"),
    )
    outbox = run(work(server, room, tool_mode="json", actions=[]))
    assert outbox.actions == (Submit(""),)
    assert (room.path / "new.txt").read_text() == "hello\n"
    first, second, third, last = server.requests
    form = first["response_format"]["json_schema"]["schema"]
    assert [each["properties"]["tool"]["const"] for each in form["oneOf"]] == [
        "read", "write", "edit", "list", "search", "run", "finish",
    ]  # fmt: skip
    assert "tools" not in first
    assert "write(path, content)" in first["messages"][0]["content"]
    assert second["messages"][-1]["content"].endswith("\n\nIf the task is done, use finish.")
    assert "Result of write:\n<<<data" in second["messages"][-1]["content"]
    assert "new.txt\nnotes.txt" in third["messages"][-1]["content"]
    assert last["messages"][-1]["content"].endswith("\n\nThat did not work; now do what the task says.")


def test_an_action_in_plain_text_is_read_in_native_mode_too(server: Server, room: Workspace) -> None:
    server.answers(say('<tool_call>{"name": "finish", "arguments": {"summary": "s"}}</tool_call>'))
    assert run(work(server, room)).actions == (Submit("s"),)


def test_the_price_is_the_providers_or_litellms_or_unknown(server: Server, room: Workspace) -> None:
    server.answers(call("finish", summary="x"))
    assert run(work(server, room, model="openai/gpt-4o")).usage.usd == pytest.approx(100 * 2.5e-6 + 10 * 1e-5)
    server.answers(call("finish"))
    assert run(work(server, room)).usage.usd is None
    server.answers(Reply(calls=(("finish", "{}"),), cost=0.25))
    assert run(work(server, room)).usage.usd == 0.25


@pytest.mark.parametrize(
    ("usage", "cost", "tokens"),
    [((100, 10), -5.0, 110), ((100, 10), math.nan, 110), ((100, 10), math.inf, 110), ((-1000, -10), None, 0),
     ((10**400, 10), None, 10)],
    ids=["a negative price", "no number", "no end", "negative tokens", "more than any float"],
)  # fmt: skip
def test_figures_beyond_belief_are_not_counted(
    server: Server, room: Workspace, usage: tuple[int, int], cost: float | None, tokens: int
) -> None:
    """With a cost below nothing, or none that can be compared, no cap was ever reached."""
    server.answers(Reply(calls=(("finish", "{}"),), usage=usage, cost=cost))
    found = run(work(server, room, model="openai/gpt-4o")).usage
    assert found.tokens == tokens
    assert found.usd == pytest.approx(found.input_tokens * 2.5e-6 + found.output_tokens * 1e-5)


def test_a_cap_stops_before_the_next_call(server: Server, room: Workspace) -> None:
    server.answers(*[call("list")] * 5)
    job = work(server, room)
    meter = Meter(caps=[Cap("tokens_per_run", 200)])
    with pytest.raises(Capped, match="200 tokens"):
        run(replace(job, meter=meter))
    assert len(server.requests) == 2 and meter.total.tokens == 220


@pytest.mark.parametrize(
    ("reply", "failure", "words"),
    [
        (fail(401), MissingKey, r"refused \(401\).*OPENAI_API_KEY"),
        (fail(403), MissingKey, r"refused \(403\)"),
        (fail(429, Retry_After="7"), RateLimited, "scripted 429"),
        (fail(500), ProviderDown, "scripted 500"),
        (fail(503), ProviderDown, r"scripted 503 \(at http://127\.0\.0\.1:"),
        (fail(404), MissingTool, "`model`, `api_base`"),
        (fail(400), MissingTool, "`model`, `api_base`"),
        (say("half an answer, and then" * 20, drops=True), ProviderDown, "openai/tiny: .*onnect"),
        (Reply(hangs=True), TimedOut, "within 1 s"),
    ],
    ids=lambda value: str(getattr(value, "status", "")) or None,
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_provider_that_fails_is_asked_once(
    server: Server, room: Workspace, reply: Reply, failure: type[Failed], words: str, stream: bool
) -> None:
    server.answers(reply)
    with pytest.raises(failure, match=words) as caught:
        run(work(server, room, stream=stream, call_timeout=1))
    assert type(caught.value) is failure
    assert caught.value.after == (7.0 if reply.status == 429 else None)
    assert len(server.requests) == 1


def test_a_server_that_sends_crumbs_is_stopped_too(server: Server, room: Workspace) -> None:
    server.answers(say("x" * 400, pause=0.15))
    began = time.monotonic()
    with pytest.raises(TimedOut, match="still answering after 1 s"):
        run(work(server, room, call_timeout=1))
    assert time.monotonic() - began < 2.5


def test_a_run_ends_at_its_wall_limit(server: Server, room: Workspace) -> None:
    server.answers(call("list"))
    job = replace(work(server, room), left=lambda: 0.0)
    with pytest.raises(TimedOut, match="wall limit"):
        run(job)
    assert server.requests == []


def test_a_key_is_taken_from_the_variables_given_and_missed_by_name(
    server: Server, room: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.answers(*[call("finish")] * 3)
    run(replace(work(server, room), env={"OPENAI_API_KEY": "k1"}))
    run(replace(work(server, room, api_key_env="OTHER"), env={"OPENAI_API_KEY": "k1", "OTHER": "k2"}))
    run(work(server, room))
    assert server.keys == ["Bearer k1", "Bearer k2", "Bearer none"]
    server.answers(*[call("finish")] * 2)
    there = {"OPENAI_API_BASE": server.url}
    run(replace(work(server, room, api_base=None), env=there | {"OPENAI_API_KEY": "k1"}))
    run(replace(work(server, room, api_base=None), env=there))
    assert server.keys == ["Bearer k1", "Bearer none"], "the provider's own variable for the address"
    with pytest.raises(MissingKey, match="set ANTHROPIC_API_KEY"):
        run(work(server, room, model="anthropic/some", api_base=None))
    with pytest.raises(MissingTool, match="openai/tiny"):
        run(work(server, room, model="tiny", api_base=None))
    with pytest.raises(MissingTool, match="names no `model`"):
        run(replace(work(server, room), agent=Agent.make("agents/ada.md", {"name": "ada"})))


# Guards -------------------------------------------------------------------------------------------------


def test_a_model_that_says_nothing_is_reminded_three_times(server: Server, room: Workspace) -> None:
    server.answers(*[say("")] * 9)
    with pytest.raises(Failed, match="reminded 3 times"):
        run(work(server, room))
    assert len(server.requests) == 4
    assert "You have called no tool. If the task is done, use finish." in server.said()
    server.answers(say(""), say("Let me think."), call("list"), say(""), say("hm"), call("finish"))
    assert run(work(server, room)).actions == (Submit(""),)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (
            Reply(calls=(("read", '{"path": "no'),)),
            "the arguments are no JSON: Unterminated string starting at character 9",
        ),
        (call("write", path="x", content="x" * (1 << 20)), "Of one answer 262,144 characters are kept"),
        (Reply(calls=(("read", "[1]"),)), "the arguments are no JSON object"),
        (Reply(calls=(("read", '{"path":' + "[" * 100_000),)), "the arguments are nested too deeply"),
        (call("read", file="x"), "path: Field required. The arguments are path, first, last."),
        (call("read", path="../x"), "leads out of the workspace"),
        (call("rm", path="x"), "there is no tool 'rm'; there are read, write,"),
        (call("comment", text=""), "comment: text: String should have at least 1 character"),
        (Reply(calls=(("write", '{"path": "s", "content": "\\ud800"}'),)), "Wrote s: 1 lines"),
        (Reply(calls=(("r\ud800", "{}"),)), "there is no tool 'r?'"),
    ],
)
def test_a_wrong_call_is_answered_with_what_is_wrong(
    server: Server, room: Workspace, reply: Reply, answer: str
) -> None:
    server.answers(reply, call("finish"))
    assert run(work(server, room)).actions == (Submit(""),)
    said = server.requests[-1]["messages"][-1]
    assert said["role"] == "tool" and answer in said["content"]
    json.loads(server.requests[-1]["messages"][-2]["tool_calls"][0]["function"]["arguments"])


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"tool": "read", "arguments": {"path": "a"}}', {"path": "a"}),
        ('I will.\n```json\n{"name": "read", "parameters": {"path": "a"}}\n```\nSo.', {"path": "a"}),
        ('{"function": {"name": "read", "arguments": "{\\"path\\": \\"a\\"}"}}', {"path": "a"}),
        ('{"tool": "read", "path": "a"}', {"path": "a"}),
        ('{"tool": "read"}', {}),
        ("if (x) { y } else { z }", None),
        ('{"name": "Ada", "age": 36}', None),
        ("{" * 100_000, None),
    ],
)
def test_an_action_is_found_in_what_small_models_write(text: str, arguments: dict[str, Any] | None) -> None:
    calls = speech.found(text, {"read": None})
    assert [talk.arguments(each) for each in calls] == ([] if arguments is None else [arguments])


def test_half_a_json_is_answered_with_what_is_wrong(server: Server, room: Workspace) -> None:
    server.answers(
        say('{"tool": "read", "arguments": {"path": "no'),
        say('{"tool": "x", "arguments":' + "[" * 50_000),
        act("finish"),
    )
    assert run(work(server, room, tool_mode="json")).actions == (Submit(""),)
    assert "That is half a JSON: Unterminated string" in server.requests[1]["messages"][-1]["content"]
    assert "nested too deeply" in server.requests[2]["messages"][-1]["content"]


def test_a_thousand_calls_end_at_the_maximum(server: Server, room: Workspace) -> None:
    server.answers(
        *[
            Reply(calls=tuple(("read", json.dumps({"path": f"{i}.{j}"})) for j in range(20)))
            for i in range(50)
        ]
    )
    outbox = run(work(server, room))
    assert len(server.requests) == 5
    assert outbox.handoff.endswith(
        "before it was done: 100 tool calls are the most of one run (`max_calls`)."
    )
    assert outbox.actions == ()


def test_the_same_call_again_is_warned_of_and_then_ends_the_run(server: Server, room: Workspace) -> None:
    server.answers(*[call("read", path="notes.txt")] * 9)
    outbox = run(work(server, room))
    assert len(server.requests) == 6
    results = [message["content"] for message in server.requests[-1]["messages"] if message["role"] == "tool"]
    assert ["Warning: this is the same call" in result for result in results] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert "the same call of read brought the same result 6 times" in outbox.handoff


def test_a_megabyte_of_answer_is_capped(server: Server, room: Workspace) -> None:
    server.answers(say("word " * 200_000), call("finish"))
    outbox = run(work(server, room, stream=False))
    assert outbox.usage.input_tokens == 200
    assert len(server.said()) < provider.MOST_ANSWER + 10_000


def test_half_a_surrogate_pair_harms_nothing(server: Server, room: Workspace) -> None:
    server.answers(say("a\ud800b", calls=(("list", "{}"),)), call("finish"))
    assert run(work(server, room)).actions == (Submit(""),)
    assert server.requests[1]["messages"][2]["content"] == "a?b"


def test_old_results_become_summaries_and_the_task_stays(server: Server, room: Workspace) -> None:
    (room.path / "big.txt").write_text("".join(f"line {i} of a long file\n" for i in range(400)))
    reads = [call("read", path="big.txt", first=i + 1, last=300 + i) for i in range(12)]
    server.answers(*reads, call("finish"))
    run(work(server, room, context=30_000))
    sizes = [len(json.dumps(request["messages"])) for request in server.requests]
    assert max(sizes) < 40_000
    last = server.requests[-1]["messages"]
    assert last[:2] == server.requests[0]["messages"]
    results = [message["content"] for message in last if message["role"] == "tool"]
    assert results[0].startswith('[read {"path": "big.txt"') and "301 lines, " in results[0]
    assert results[0].endswith(
        "in short:]\n(lines 1 to 300 of 400)\nline 0 of a long file\n…\nline 298 of a long file\nline 299 of a long file"
    )
    assert results[-1].count("\n") == 301


def test_what_does_not_fit_into_the_model_is_tried_shorter(server: Server, room: Workspace) -> None:
    too_long = fail(400, message="This model's maximum context length is 8 tokens.")
    server.answers(call("list"), too_long, too_long, call("finish"))
    assert run(work(server, room)).actions == (Submit(""),)
    server.answers(*[too_long] * 5)
    with pytest.raises(MissingTool, match="lower `context`"):
        run(work(server, room))
    assert len(server.requests) == 3


def test_a_reviewer_approves_or_sends_back(server: Server, room: Workspace) -> None:
    server.answers(
        call("write", path="x", content=""), call("finish"), call("approve", note="fine"), call("finish")
    )
    outbox = run(work(server, room, is_review=True))
    assert [type(action).__name__ for action in outbox.actions] == ["Approve"]
    assert "there is no tool 'write'" in server.said()
    assert "use approve or send_back first" in server.said()


def test_the_answers_are_kept_for_a_replay(server: Server, room: Workspace) -> None:
    server.answers(say("so", calls=(("list", "{}"),)), call("finish"))
    run(work(server, room))
    lines = (room.path.parent / "log" / "replies.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"text": "so", "calls": [["call_0", "list", "{}"]]}


def test_a_heartbeat_thinks_works_and_hands_in(server: Server, scratch: Scratch) -> None:
    """The whole way: workspace, sandbox, model, hand-in, and one commit with the figures."""
    agent = scratch.read("agents/technical.md").replace(
        "runner: simulated", f"runner: llm\n  api_base: {server.url}"
    )
    scratch.write("agents/technical.md", agent.replace("\nagentos:", "\nmodel: openai/gpt-4o\nagentos:"))
    if bubblewrap.hindrance():
        scratch.write("board/config.yml", "sandbox: off\n")
    scratch.write("shop.txt", "closed\n")
    scratch.git("add", "shop.txt")
    scratch.git("commit", "-qm", "A shop")

    def assign(draft: Draft) -> None:
        tasks.add(draft, "Open the shop", body="Say open in shop.txt.", assignees=["technical"])
        tasks.move(draft, "1", "in_progress")

    scratch.act(assign)
    server.answers(
        call("read", path="shop.txt"),
        call("edit", path="shop.txt", old="closed", new="open"),
        call("run", command="cat shop.txt; env"),
        call("comment", text="It was closed."),
        call("finish", summary="It is open."),
    )
    done = beat(scratch.store, Assignment("technical", "TASK-001-open-the-shop"), {"OPENAI_API_KEY": "k1"})
    assert (done.outcome, server.keys) == ("settled", ["Bearer k1"] * 5), done
    assert "Say open in shop.txt." in server.requests[0]["messages"][1]["content"]
    assert "(exit code 0)\nopen\n" in server.requests[3]["messages"][-1]["content"]
    assert "k1" not in server.requests[3]["messages"][-1]["content"]
    trailers = scratch.git("log", "-1", "--format=%(trailers)")
    assert (
        "Tokens: 550" in trailers and "Model: openai/gpt-4o" in trailers and "Cost-USD: 0.00175" in trailers
    )
    assert scratch.store.board().task("1").status == "review"
    assert scratch.git("show", "agentos/TASK-001-open-the-shop:shop.txt") == "open\n"
    assert scratch.read("shop.txt") == "closed\n"


def test_nothing_looked_beyond_this_machine(server: Server) -> None:
    """Last in the file: litellm's import and every call above went to 127.0.0.1 alone."""
    assert "litellm" in sys.modules
    assert FOREIGN == []


def test_every_failure_is_an_error_that_people_see() -> None:
    assert issubclass(provider.TooLong, AgentOSError)
