"""One task by a real coding command line, from its claim to its commit: `make live-cli`.

mini-swe-agent comes from the package registry into a virtual environment of its own, and asks a scripted server
on 127.0.0.1, through the sandbox's relay. What is missing skips this with words. Nothing here belongs to the
product.
"""

import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))

from conftest import Clock, Scratch, make_template  # noqa: E402
from openai_server import Server, call, serve  # noqa: E402

from agentos.actions import tasks  # noqa: E402
from agentos.orchestrator import tick as ticking  # noqa: E402
from agentos.runtime import bubblewrap  # noqa: E402
from agentos.store import runs  # noqa: E402
from agentos.store.fields import dump  # noqa: E402

PLACE = Path(sys.prefix) / "live" / "mini-swe-agent"
"""Where it is kept: inside the virtual environment, which git ignores."""

PACKAGES = ("mini-swe-agent==2.4.6", "litellm==1.105.3")

TASK = "TASK-001-open-the-shop"
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


class Skipped(Exception):
    """Something that this needs is not to be had here."""


def install() -> Path:
    """The command `mini`, installed once. Raises Skipped."""
    command = PLACE.resolve() / "bin" / "mini"
    if not command.exists():
        print(f"installing {', '.join(PACKAGES)} into {PLACE}", flush=True)
        venv.create(PLACE, with_pip=True)
        line = [str(PLACE / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["pip failed"]
            raise Skipped(f"{PACKAGES[0]} can't be had here: {said[-1]}")
    return command


def board(base: Path, command: Path, server: Server, mounts: list[str]) -> Scratch:
    """A board with one task for an agent that is mini-swe-agent, as docs/agents.md sets it up."""
    made = Scratch(make_template(base), Clock())
    made.write("shop.txt", "closed\n")
    made.git("add", "shop.txt")
    made.git("commit", "-qm", "A shop")
    made.write("board/config.yml", made.read("board/config.yml") + dump({"workspace": {"mounts": mounts}}))
    settings: dict[str, Any] = {
        "runner": "command",
        "capabilities": ["technical"],
        "network": [server.url.removeprefix("http://").removesuffix("/v1")],
        "command": [
            "env", "MSWEA_CONFIGURED=true", "MSWEA_COST_TRACKING=ignore_errors", "OPENAI_API_KEY=none",
            f"OPENAI_API_BASE={server.url}", "LITELLM_LOCAL_MODEL_COST_MAP=True",
            str(command), "-m", "{model}", "-t", "{prompt}", "-y", "--exit-immediately", "-o", "{report_file}",
        ],
    }  # fmt: skip

    def fill(draft: Any) -> None:
        tasks.add(draft, "Open the shop", body="shop.txt shall say open.", assignees=["technical"])
        draft.put(draft.board.agents["technical"].replace(model="openai/gpt-4o", agentos=settings))

    made.act(fill)
    return made


def main() -> int:
    """Run it and print what came of it; 0 where the task is in review with the right change."""
    try:
        why = bubblewrap.hindrance()
        if why:
            raise Skipped(f"there is no sandbox: {why}")
        command = install()
    except Skipped as skipped:
        print(f"skipped: {skipped}")
        return 0
    with tempfile.TemporaryDirectory() as folder, serve() as server:
        server.answers(
            call("bash", command="cat shop.txt"),
            call("bash", command="sed -i s/closed/open/ shop.txt && git commit -qam 'Open it' && echo so > note.txt"),
            call("bash", command=SUBMIT),
        )  # fmt: skip
        here = board(Path(folder), command, server, [str(PLACE.resolve())])
        began = time.monotonic()
        report = ticking.tick(here.store, ticking.Options(agent="technical", jobs=1))
        print(f"{time.monotonic() - began:.1f} s, {len(server.requests)} calls of the model")
        for beat in report.beats:
            print(f"{beat.outcome}: {beat.text}")
        run = runs.of_task(here.store, here.store.board().task("1"))[0]
        print(f"runner {run.runner}, model {run.model}, {run.tokens} tokens, ${run.usd:.6f}")
        change = here.git("diff", "main...agentos/" + TASK, check=False)
        print(change)
        is_right = "+open" in change and "+so" in change and run.tokens == 330
        print("ok" if is_right else "not what was asked for")
        return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
