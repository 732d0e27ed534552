"""Recordings: what a run answered is kept, committed, and played again; everything but the answers is real."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Scratch
from test_heartbeat import TASK, equip, newest, setting, team, tick  # noqa: F401  (fixtures)

from agentos.actions import tasks
from agentos.errors import Invalid
from agentos.runtime import prompt, recording, reports
from agentos.runtime.budget import Usage
from agentos.runtime.failures import Failed, MissingKey, MissingTool, ProviderDown, RateLimited
from agentos.runtime.recording import Recording

FILE = "docs/recordings/work.jsonl"


@pytest.fixture
def twin(team: Scratch, tmp_path: Path) -> Scratch:  # noqa: F811
    """The same board as `team`, before anything has run on it."""
    shutil.copytree(team.root, tmp_path / "twin", symlinks=True)
    return Scratch(tmp_path / "twin", team.clock)


def hand_over(board: Scratch, text: str, **settings: Any) -> None:
    """Commit a recording and let technical play it."""
    board.write(FILE, text)
    board.git("add", FILE)
    board.git("commit", "-qm", "A recording")
    equip(board, "technical", runner="replay", replay=FILE, **settings)


def asked(board: Scratch, is_review: bool = False) -> dict[str, str]:
    """The hashes of what technical would be told, once its task is in progress."""
    store = board.store
    now = store.board()
    task = now.task("1").replace(status="in_progress")
    return prompt.gather(store, now, task, now.agents["technical"], is_review=is_review).hashes()


def model(board: Scratch, *answers: tuple[str, dict[str, Any]], **fields: Any) -> str:
    """A recording of a model that calls these tools, one an answer."""
    replies = [{"text": "", "calls": [["c", name, json.dumps(given)]]} for name, given in answers]
    about = {"task": TASK, "prompt": asked(board)} | fields
    return Recording("llm", "technical", replies=tuple(replies), **about).text()


def test_what_a_command_did_is_recorded_and_done_again(team: Scratch, twin: Scratch, cli: Cli) -> None:  # noqa: F811
    script = (
        "mkdir -p src; printf 'a\\0b' > src/x.bin; echo new > src/new.txt; git add -A; git commit -qm own; "
        "echo more >> src/new.txt; rm -f board/config.yml; echo 'It is done.'"
    )
    equip(team, "technical", command=["sh", "-c", script])
    (beat,) = tick(team).beats
    assert beat.outcome == "settled", beat
    made = team.git("rev-parse", f"agentos/{TASK}:src")
    assert cli("runs", "record", "-o", str(team.root / FILE)).code == 0
    again = cli("runs", "replay", beat.run[:20])
    assert again.code == 0 and "+more" in again.out and "submit  summary=It is done." in again.out
    assert json.loads(cli("runs", "replay", "--json").out)["actions"][0]["action"] == "submit"
    assert cli("runs", "record", "-o", str(team.root / FILE)).code == 6, "it is there already"
    hand_over(twin, team.read(FILE))
    (beat,) = tick(twin).beats
    assert beat.outcome == "settled", beat
    assert twin.git("rev-parse", f"agentos/{TASK}:src") == made
    assert "It is done." in twin.git("log", "-1", "-p", "main")
    run = newest(twin)
    assert (run.runner, run.tokens, run.usd) == ("replay", 0, 0.0)


def test_what_a_model_said_is_said_again_to_real_tools(team: Scratch) -> None:  # noqa: F811
    steps = [
        ("write", {"path": "made.txt", "content": "made\n"}),
        ("run", {"command": "cat made.txt; ls /etc/shadow"}),
        ("edit", {"path": "made.txt", "old": "made", "new": "well made"}),
        ("comment", {"text": "I looked twice."}),
        ("finish", {"summary": "Made."}),
    ]
    hand_over(team, model(team, *steps))
    (beat,) = tick(team).beats
    assert beat.outcome == "settled", beat
    assert team.git("show", f"agentos/{TASK}:made.txt") == "well made\n"
    log = (team.store.local / "runs" / beat.run / "log.jsonl").read_text()
    assert "(exit code" in log and "made\\n" in log
    assert len(recording.of_run(team.store, beat.run).replies) == len(steps), "it can be recorded again"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not in the board's last commit"),
        ("{}\n", "docs/recordings/work.jsonl:1: a recording begins with"),
        ('{"recording": 1, "runner": "llm"}\n{"text": 1}\n', "work.jsonl:2: no answer of the runner llm"),
        ("other", "it was recorded for TASK-001-the-work"),
        ("review", "it was recorded for TASK-001-the-work (review)"),
        ("short", "after its 1 answers the run is not finished"),
        ("misfit", "The recorded change does not fit the files here"),
    ],
)
def test_a_recording_that_does_not_fit_or_runs_out_says_so(team: Scratch, text: str, said: str) -> None:  # noqa: F811
    step = ("list", {})
    patch = "--- a/none.txt\n+++ b/none.txt\n@@ -1 +1 @@\n-a\n+b\n"
    made = {
        "other": lambda: model(team, step, prompt={"task": "0" * 64}),
        "review": lambda: model(team, step, is_review=True),
        "short": lambda: model(team, step),
        "misfit": lambda: Recording(
            "command", prompt=asked(team), replies=({"said": "x", "patch": patch},)
        ).text(),
    }
    if text:
        hand_over(team, made[text]() if text in made else text)
    else:
        equip(team, "technical", runner="replay", replay=FILE)
    (beat,) = tick(team).beats
    assert beat.outcome == "failed" and said in beat.text, beat
    assert said in str(team.store.board().task("1").blocked), "another try would bring the same"
    assert not (newest(team).commit or newest(team).tokens)


def test_an_author_cant_change_what_a_reviewer_will_say(team: Scratch) -> None:  # noqa: F811
    """The recording is read from the board's branch, whatever the branch under review has in its place."""
    honest = model(team, ("list", {}))
    hand_over(team, honest)
    equip(team, "technical", runner="command", command=["sh", "-c", f"echo '{{}}' > {FILE}"])
    assert tick(team).beats[0].outcome == "settled"
    equip(team, "qa", paused=False, runner="replay", replay=FILE)
    (beat,) = tick(team).beats
    assert "it was recorded for TASK-001-the-work" in beat.text, beat


def test_a_recording_keeps_what_it_is_given() -> None:
    one = Recording("llm", "ada", "T", "m", True, {"task": "x"}, ({"text": "\udc80", "calls": []},))
    two = Recording("command", prompt={}, replies=({"said": "", "patch": ""},))
    assert recording.parse(one.text() + two.text(), "f") == (one, two)
    with pytest.raises(Invalid, match="f:1"):
        recording.parse("[" * 100_000, "f")


def reply(runner: str, **fields: Any) -> str:
    return Recording(runner, replies=(fields,)).text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\x00\n", "f:1: a line of a recording is a JSON object"),
        (f'{{"recording": {"9" * 5000}}}', "f:1: a line of a recording is a JSON object"),
        ('{"recording": NaN, "runner": "llm"}', "f:1: a recording of another version"),
        ('{"recording": 1, "runner": ["llm"]}', "f:1: a recording of another version"),
        (
            reply("llm", text="", calls=[["c", "write", "x" * 600_000]]),
            "f:2: an answer of 600,006 characters",
        ),
        (reply("llm", text="", calls=[["c", "list", {}]]), "f:2: no answer of the runner llm"),
        (reply("command", said="\ud800", patch=""), "f:2: no answer of the runner command"),
        (reply("command", said="\udc80", patch=""), "f:2: no answer of the runner command"),
        (reply("command", said="", patch="\ud800"), "f:2: no answer of the runner command"),
    ],
)
def test_a_hostile_recording_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        recording.parse(text, "f")


def test_lines_may_be_empty_and_hold_the_separators_of_unicode() -> None:
    text = '\r\n{"recording": 1, "runner": "llm"}\r\n\n{"text": "a\u2028b\x85", "calls": []}\r\n\n'
    (found,) = recording.parse(text, "f")
    assert [each["text"] for each in found.replies] == ["a\u2028b\x85"]


def test_a_recorded_run_gets_no_further_out_than_a_live_one(team: Scratch, tmp_path: Path) -> None:  # noqa: F811
    paths = ["../../../x.txt", str(tmp_path / "evil"), ".git/hooks/pre-commit"]
    steps = [("write", {"path": path, "content": "x"}) for path in paths]
    hand_over(team, model(team, *steps, ("write", {"path": "made.txt", "content": "x"}), ("finish", {})))
    (beat,) = tick(team).beats
    log = (team.store.local / "runs" / beat.run / "log.jsonl").read_text()
    assert beat.outcome == "settled" and log.count('"text": "Error:') == 3, log
    assert not (tmp_path / "evil").exists()


def test_a_link_out_of_the_patch_of_a_recorded_command_is_refused(team: Scratch, tmp_path: Path) -> None:  # noqa: F811
    new = "diff --git a/{0} b/{0}\nnew file mode {1}\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+{2}\n"
    patch = new.format("l", "120000", tmp_path) + "\\ No newline at end of file\n"
    patch += new.format("l/evil", "100644", "x")
    effect = {"said": "Done.", "patch": patch}
    hand_over(team, Recording("command", prompt=asked(team), replies=(effect,)).text())
    (beat,) = tick(team).beats
    assert "beyond a symbolic link" in beat.text and not (tmp_path / "evil").exists()


# What command lines say of themselves -------------------------------------------------------------------

CLAUDE = {
    "type": "result", "subtype": "success", "is_error": False, "result": "Done.", "total_cost_usd": 0.0425,
    "session_id": "s",
    "usage": {"input_tokens": 4, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 7},
}  # fmt: skip
CLAUDE_WITH_AGENTS = CLAUDE | {
    "modelUsage": {
        "claude-sonnet-4-5": {"inputTokens": 300, "outputTokens": 30, "cacheReadInputTokens": 20, "costUSD": 0.04},
        "claude-haiku-4-5": {"inputTokens": 5, "outputTokens": 1, "cacheCreationInputTokens": 4, "costUSD": 0.0025},
    }
}  # fmt: skip
CODEX = [
    {"type": "thread.started", "thread_id": "t"},
    {"type": "item.completed", "item": {"type": "reasoning", "text": "hm"}},
    {"type": "item.completed", "item": {"type": "agent_message", "text": "Done."}},
    {"type": "turn.completed", "usage": {"input_tokens": 90, "cached_input_tokens": 80, "output_tokens": 5}},
]
MINI = {
    "info": {"exit_status": "Submitted", "submission": "", "model_stats": {"instance_cost": 0.5, "api_calls": 2}},
    "messages": [
        {"role": "user", "content": "do"},
        {"role": "assistant", "extra": {"response": {"usage": {"prompt_tokens": 10, "completion_tokens": 2}}}},
        {"role": "assistant", "extra": {"response": {"usage": {"prompt_tokens": 20, "completion_tokens": 3}}}},
    ],
}  # fmt: skip
CLAUDE_ENDED = {
    "type": "result", "subtype": "success", "is_error": True, "total_cost_usd": 0, "terminal_reason": "api_error",
    "usage": {"input_tokens": 0, "output_tokens": 0},
}  # fmt: skip
AIDER = """Applied edit to a.py
Tokens: 2.5k sent, 31 received. Cost: $0.01 message, $0.01 session.
Tokens: 1,000 sent, 500 cache hit, 9 received. Cost: $0.02 message, $0.03 session.
"""


@pytest.mark.parametrize(
    ("output", "text", "usage"),
    [
        (json.dumps(CLAUDE), "Done.", Usage(124, 7, 0.0425)),
        ("a warning\n" + json.dumps({"type": "system"}) + "\n" + json.dumps(CLAUDE), "Done.", Usage(124, 7, 0.0425)),
        (json.dumps(CLAUDE_WITH_AGENTS), "Done.", Usage(329, 31, 0.0425)),
        ("\n".join(map(json.dumps, CODEX)), "Done.", Usage(90, 5, None)),
        (json.dumps(MINI, indent=2), "Submitted", Usage(30, 5, 0.5)),
        (AIDER, AIDER.strip(), Usage(3500, 40, 0.03)),
        ("just words", "just words", Usage()),
        ('{"type": "result", "usage": {"input_tokens": -5, "output_tokens": "x"}, "total_cost_usd": 1e999}', "", Usage()),
        ('{"type": "turn.completed", "usage": 3}', "", Usage()),
        ('{"info": {}, "messages": [1, {"extra": 3}]}', "", Usage()),
        ("{" * 100_000, "{" * 100_000, Usage()),
    ],
    ids=["claude", "stream-json", "claude's own agents", "codex", "mini", "aider", "words", "lies", "codex lies", "mini lies", "braces"],
)  # fmt: skip
def test_figures_are_read_from_what_command_lines_print(output: str, text: str, usage: Usage) -> None:
    report = reports.read(output)
    assert (report.text, report.usage, report.failure) == (text, usage, None)


def codex_failed(message: str) -> str:
    """What Codex 0.169.0 ends with; `error` alone is what it tries again after."""
    tries = {"type": "error", "message": "Reconnecting... 1/5 (unexpected status 500)"}
    ends = [{"type": "error", "message": message}, {"type": "turn.failed", "error": {"message": message}}]
    return "\n".join(["WARNING: no aliases", *map(json.dumps, [CODEX[0], tries, *ends])])


def claude_failed(text: str, **fields: Any) -> str:
    """What Claude Code 2.1.330 ends with."""
    return json.dumps(CLAUDE_ENDED | {"result": text} | fields)


def mini_failed(status: str, said: str) -> str:
    """The trajectory that mini-swe-agent 2.4.6 leaves."""
    last = {"role": "exit", "content": said, "extra": {"exit_status": status, "submission": ""}}
    return json.dumps({"info": {"exit_status": status, "submission": ""}, "messages": [last]})


LITELLM_SAID = "litellm.AuthenticationError: AuthenticationError: OpenAIException - who are you?"
AIDER_FAILED = f"""Aider v0.86.2
Repo-map: using 4096 tokens, auto refresh

{LITELLM_SAID}
The API provider is not able to authenticate you. Check your API key.
"""
AIDER_AGAIN = f"""Aider v0.86.2
litellm.RateLimitError: RateLimitError: OpenAIException - slow down
The API provider has rate limited you. Try again later or check your quotas.
Retrying in 0.2 seconds...
{AIDER}"""


@pytest.mark.parametrize(
    ("output", "kind", "text"),
    [
        (claude_failed("Not logged in · Please run /login", api_error_status=None), MissingKey, "Not logged in"),
        (claude_failed("Failed to authenticate. API Error: 401 x", api_error_status=401), MissingKey, "Failed to"),
        (claude_failed("API Error: Request rejected (429)", api_error_status=429), RateLimited, "API Error"),
        (claude_failed("API Error: 529 overloaded.", api_error_status=529), ProviderDown, "API Error"),
        (claude_failed("There's an issue with the selected model", api_error_status=404), MissingTool, "There's"),
        (claude_failed("API Error: Connection refused", api_error_status=None), ProviderDown, "API Error"),
        (claude_failed("", terminal_reason="max_turns", errors=["Reached maximum number of turns (1)"]), Failed, "Reach"),
        (codex_failed("Missing environment variable: `OPENAI_API_KEY`."), MissingKey, "Missing environment"),
        (codex_failed("unexpected status 401 Unauthorized: x, url: http://h/v1/responses"), MissingKey, "unexpected"),
        (codex_failed("exceeded retry limit, last status: 429 Too Many Requests"), RateLimited, "exceeded"),
        (codex_failed("unexpected status 529 <unknown status code>: overloaded"), ProviderDown, "unexpected"),
        (codex_failed("We\u2019re currently experiencing high demand, which may"), ProviderDown, "We"),
        (codex_failed("stream disconnected before completion: error sending request"), ProviderDown, "stream"),
        (codex_failed("Connection failed: error sending request"), ProviderDown, "Connection"),
        (codex_failed("something else"), Failed, "something else"),
        (mini_failed("AuthenticationError", LITELLM_SAID), MissingKey, LITELLM_SAID),
        (mini_failed("RateLimitError", "slow down"), RateLimited, "slow down"),
        (mini_failed("LimitsExceeded", "LimitsExceeded"), Failed, "LimitsExceeded"),
        (AIDER_FAILED, MissingKey, LITELLM_SAID),
        (AIDER_AGAIN, None, "Aider v0.86.2"),
        (LITELLM_SAID, None, LITELLM_SAID),
    ],
)  # fmt: skip
def test_failures_are_told_apart_by_what_command_lines_print(
    output: str, kind: type[Failed] | None, text: str
) -> None:
    report = reports.read(output)
    assert report.failure is kind and report.text.startswith(text)


def test_a_command_line_that_calls_itself_failed_is(team: Scratch) -> None:  # noqa: F811
    failed = json.dumps(CLAUDE | {"is_error": True, "result": "No more turns."})
    equip(team, "technical", command=["echo", failed])
    (beat,) = tick(team).beats
    assert beat.outcome == "failed" and "says that it failed: No more turns." in beat.text
    assert (newest(team).tokens, newest(team).usd) == (131, 0.0425), "what it cost is settled all the same"
    assert reports.read('{"type": "turn.started"}\n{"type": "turn.failed", "error": {}}').failure is Failed


def test_what_went_wrong_at_the_provider_decides_whether_a_command_is_tried_again(team: Scratch) -> None:  # noqa: F811
    team.write("said.json", mini_failed("RateLimitError", "slow down"))
    team.git("add", "said.json")
    team.git("commit", "-qm", "A trajectory")
    equip(team, "technical", command=["env", "A=b", "sh", "-c", 'cp said.json "$0"', "{report_file}"])
    (beat,) = tick(team).beats
    assert "sh says that it failed: slow down" in beat.text and newest(team).failure == "rate-limit"
    equip(team, "technical", command=["echo", AIDER_FAILED])
    team.clock.forward(hours=1)
    (beat,) = tick(team).beats
    assert newest(team).failure == "key" and team.store.board().task("1").blocked


def test_a_key_that_is_listed_and_not_given_is_asked_for_before_anything_runs(team: Scratch) -> None:  # noqa: F811
    listed = ["GREETING", "SOME_API_KEY", "OTHER_TOKEN"]
    equip(team, "technical", command=["sh", "-c", "echo ran > made.txt"], env=listed)
    (beat,) = tick(team, variables={"GREETING": "hello"}).beats
    assert "No key for sh: set SOME_API_KEY or OTHER_TOKEN in the environment" in beat.text
    assert newest(team).failure == "key" and not newest(team).commit
    team.act(lambda draft: tasks.unblock(draft, "1"))
    assert tick(team, variables={"OTHER_TOKEN": "sesame-sesame"}).beats[0].outcome == "settled"


def test_a_program_that_is_not_there_behind_env_is_a_missing_tool(team: Scratch) -> None:  # noqa: F811
    equip(team, "technical", command=["env", "A=b", "no-such-tool", "-p"])
    (beat,) = tick(team).beats
    assert "no-such-tool is not there in the sandbox" in beat.text and newest(team).failure == "tool"


def test_what_aider_keeps_for_itself_is_not_handed_in(team: Scratch) -> None:  # noqa: F811
    kept = "mkdir .aider.tags.cache.v4 && touch .aider.tags.cache.v4/cache.db .aider.chat.history.md .aider.conf.yml"
    equip(team, "technical", command=["sh", "-c", kept])
    assert tick(team).beats[0].outcome == "settled"
    names = team.git("diff", "--name-only", f"main...agentos/{TASK}").split()
    assert names == [".aider.conf.yml"]


def test_a_prompt_goes_in_as_argument_file_or_input_and_a_report_comes_out(team: Scratch) -> None:  # noqa: F811
    script = (
        'printf "%s" "$1" > argument.txt; cp "$2" file.txt; cp "$4" "$3"; rm "$4"; cat > input.txt; echo "$5"'
    )
    places = ["{prompt}", "{prompt_file}", "{report_file}", "mini.json", "model={model}!"]
    team.write("mini.json", json.dumps(MINI))
    team.git("add", "mini.json")
    team.git("commit", "-qm", "A trajectory")
    equip(team, "technical", command=["sh", "-c", script, "sh", *places])
    team.act(lambda draft: draft.put(draft.board.agents["technical"].replace(model="openai/m")))
    team.act(lambda draft: tasks.edit(draft, "1", {"title": "The {prompt_file} work"}))
    (beat,) = tick(team).beats
    assert beat.outcome == "settled", beat
    show = {name: team.git("show", f"agentos/{TASK}:{name}.txt") for name in ("argument", "file", "input")}
    assert show["argument"] == show["file"] and show["input"] == ""
    assert "The {prompt_file} work" in show["file"], "what is filled in is not filled in again"
    run = newest(team)
    assert (run.tokens, run.usd, run.model) == (35, 0.5, "openai/m")
    assert list((team.store.local / "homes" / "technical").glob("prompt-*")) == []
