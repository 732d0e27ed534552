"""A cap in money or tokens while many agents spend at once: passed by at most one call of each run.

    python tests/stress/budget.py [AGENTS]

`agentos tick` wakes as many agents as that side by side, a process each, against a server that speaks the OpenAI
protocol on 127.0.0.1, answers to all of them at once and says what each answer took. What it has served is held
against history and the ledger; then more ticks, also after the clone has lost what it had noted, ask for nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ground
from conftest import Scratch
from ground import Run
from openai_server import Reply, Server, serve
from test_heartbeat import confinement

from agentos.actions import tasks
from agentos.model.records import Agent
from agentos.runtime.ledger import Ledger
from agentos.store import runs

FULL = 10
USD, TOKENS = 0.04, 1_000
"""What every answer takes."""

CAPS: dict[str, tuple[dict[str, float], dict[str, float], str]] = {
    "usd of the board's day": ({"usd_per_day": 0.5}, {}, "board"),
    "tokens of the board's day": ({"tokens_per_day": 12_500}, {}, "board"),
    "usd of a run": ({}, {"usd_per_run": 0.1}, "run"),
    "tokens of a task": ({}, {"tokens_per_task": 2_500}, "run"),
    "usd of an agent's day": ({}, {"usd_per_day": 0.1}, "run"),
}
"""The budget of the board and of each agent, and what the cap is about: everything together or each run."""


def furnish(scratch: Scratch, count: int, url: str, board: dict[str, float], each: dict[str, float]) -> None:
    """So many agents that think with the server's model, and a task for each."""
    config = scratch.read("board/config.yml")
    scratch.write("board/config.yml", f"{config}budget: {json.dumps(board)}\nsandbox: {confinement()!r}\n")
    for name in ("technical", "qa", "docs"):
        (scratch.root / f"agents/{name}.md").unlink(missing_ok=True)
    settings = {"runner": "llm", "api_base": url, "budget": each, "max_calls": 200}

    def fill(draft: Any) -> None:
        for i in range(count):
            name = f"worker-{i}"
            fields = {"name": name, "model": "openai/scripted", "agentos": settings}
            draft.create(Agent.at(f"agents/{name}.md", fields), "Write files.\n")
            tasks.add(draft, f"Part {i}", body="Write files.", assignees=[name])

    scratch.act(fill)


def tick(scratch: Scratch, count: int) -> dict[str, Any]:
    """One `agentos tick` as a person starts it, with the keys in its environment."""
    line = [Path(sys.executable).with_name("agentos"), "tick", "--force", "--jobs", str(count), "--json"]
    env = os.environ | {"OPENAI_API_KEY": "sk-scripted"}
    done = subprocess.run(line, cwd=scratch.root, env=env, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: a run was stopped by its budget
        raise AssertionError(done.stderr)
    return dict(json.loads(done.stdout))


def answers() -> list[Reply]:
    """More than anybody may ask for; no two are the same call, and none of them ends a run."""
    given = (json.dumps({"path": f"{i}.txt", "content": "x"}) for i in range(2_000))
    return [Reply(calls=(("write", each),), usage=(TOKENS - 10, 10), cost=USD, pause=0.02) for each in given]


def judge(run: Run, what: str, scratch: Scratch, server: Server, count: int) -> None:
    """Spend under one cap, and hold it against what was served."""
    board, each, of = CAPS[what]
    furnish(scratch, count, server.url, board, each)
    server.answers(*answers())
    report = tick(scratch, count)
    served = len(server.requests)
    ((name, most),) = {**board, **each}.items()
    worth = USD if name.startswith("usd") else TOKENS
    allowed = most + count * worth if of == "board" else count * (most + worth)
    spent = served * worth
    run.figures[what] = f"{spent:,.2f} of {most:,.2f}{'' if of == 'board' else f' × {count}'}"
    run.require(len(report["beats"]) == count, f"{what}: {len(report['beats'])} of {count} agents were woken")
    run.require(most <= spent <= allowed, f"{what}: {spent} was spent of {most}, and {allowed} is the most")
    history = [
        one for task in scratch.store.board().tasks.values() for one in runs.of_task(scratch.store, task)
    ]
    known = [one for one in history if one.run]
    counted = (round(sum(one.usd for one in known), 6), sum(one.tokens for one in known))
    run.require(
        counted == (round(served * USD, 6), served * TOKENS), f"{what}: history has {counted} of {served}"
    )
    noted = Ledger(scratch.store.local).entries().values()
    run.require(
        round(sum(one.usd for one in noted), 6) == counted[0], f"{what}: the ledger has other figures"
    )
    run.require(all(one.is_settled for one in noted), f"{what}: a run is not settled")
    run.require({one.failure for one in known} == {"budget"}, f"{what}: a run ended otherwise")
    run.require(not scratch.store.refs().claims, f"{what}: a claim was left")
    head = scratch.git("rev-parse", "main")
    for lost in (["wakes.json"], ["wakes.json", "ledger.json"]) if count >= FULL else ():
        for file in lost:
            (scratch.store.local / file).unlink(missing_ok=True)
        tick(scratch, count)
    shutil.rmtree(scratch.store.local)
    tick(scratch, count)
    run.require(len(server.requests) == served, f"{what}: a later tick asked again")
    run.require(scratch.git("rev-parse", "main") == head, f"{what}: a later tick committed something")


def main() -> None:
    run = Run("budget")
    count = ground.size(FULL)
    with ground.folder() as place, serve() as server:
        for what in CAPS if count >= FULL else list(CAPS)[:1]:
            scratch = ground.copy(place, what.replace(" ", "-"))
            judge(run, what, scratch, server, count)
            ground.remove(scratch)
    run.end()


if __name__ == "__main__":
    main()
