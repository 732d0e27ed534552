"""One task by each real coding command line, from its claim to its commit: `make live-cli [CLI=claude]`.

Each comes from the package registry into a folder of its own, is run as docs/agents.md says, and asks a scripted
server on 127.0.0.1 through the sandbox's relay; then with a wrong key and with none. What is missing skips with
words.
Nothing here belongs to the product.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))

from conftest import Clock, Scratch, make_template  # noqa: E402
from openai_server import Reply, Server, call, fail, say, serve  # noqa: E402

from agentos.actions import tasks  # noqa: E402
from agentos.orchestrator import tick as ticking  # noqa: E402
from agentos.runtime import bubblewrap  # noqa: E402
from agentos.store import runs  # noqa: E402
from agentos.store.fields import dump, load  # noqa: E402

PLACE = Path(sys.prefix) / "live"
"""Where they are kept: inside the virtual environment, which git ignores."""

TASK = "TASK-001-open-the-shop"
TRAILERS = "%(trailers:key=Runner,key=Model,key=Tokens,key=Cost-USD,separator=%x2C )"
KEY = "none-but-ours"
ASKED = "shop.txt shall say open."

EDIT = """Both files, then.

shop.txt
```
<<<<<<< SEARCH
closed
=======
open
>>>>>>> REPLACE
```

note.txt
```
<<<<<<< SEARCH
=======
so
>>>>>>> REPLACE
```
"""

PATCH = """apply_patch <<'EOF'
*** Begin Patch
*** Update File: shop.txt
@@
-closed
+open
*** Add File: note.txt
+so
*** End Patch
EOF"""


@dataclass(frozen=True)
class Tool:
    """Where a command line comes from, how it is told of our server, and what the model has it do."""

    program: str
    """As docs/agents.md calls it, and as the packages install it."""
    packages: tuple[str, ...]
    """Of npm where the first begins with `@`, else of Python."""
    model: str
    key: str
    """The variable that its key is in."""
    base: str
    """The variable with the address of its server; empty where a file in its home has it."""
    script: tuple[Reply, ...]
    home: tuple[str, str] = ("", "")
    """A file of its private home, and the text of it."""

    @property
    def is_npm(self) -> bool:
        return self.packages[0].startswith("@")

    @property
    def place(self) -> Path:
        return PLACE.resolve() / self.program

    @property
    def command(self) -> Path:
        return self.place / ("node_modules/.bin" if self.is_npm else "bin") / self.program


TOOLS = (
    Tool(
        "claude", ("@anthropic-ai/claude-code@2.1.330",), "claude-sonnet-4-5",
        "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL",
        (
            call("Read", file_path="/workspace/shop.txt"),
            call("Edit", file_path="/workspace/shop.txt", old_string="closed", new_string="open"),
            call("Bash", command="git commit -qam 'Open it' && echo so > note.txt"),
            say("The shop is open."),
        ),
    ),
    Tool(
        "codex", ("@openai/codex@0.169.0",), "gpt-5", "CODEX_API_KEY", "",
        (
            call("exec_command", cmd="cat shop.txt"),
            call("exec_command", cmd=PATCH),
            say("The shop is open."),
        ),
        (".codex/config.toml", 'openai_base_url = "{url}"\n'),
    ),
    Tool(
        "aider", ("aider-chat==0.86.2",), "openai/gpt-4o", "OPENAI_API_KEY", "OPENAI_API_BASE",
        (say(EDIT),),
    ),
    Tool(
        "mini", ("mini-swe-agent==2.4.6", "litellm==1.105.3"), "openai/gpt-4o",
        "OPENAI_API_KEY", "OPENAI_API_BASE",
        (
            call("bash", command="cat shop.txt"),
            call("bash", command="sed -i s/closed/open/ shop.txt && git commit -qam 'Open it' && echo so > note.txt"),
            call("bash", command="echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"),
        ),
    ),
)  # fmt: skip


class Skipped(Exception):
    """Something that this needs is not to be had here."""


def templates() -> dict[str, dict[str, Any]]:
    """The settings that docs/agents.md shows for each command line, by its program."""
    text = (TESTS.parent / "docs/agents.md").read_text()
    found = [load(block)["agentos"] for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S)]
    return {program(each["command"]): each for each in found if each.get("runner") == "command"}


def program(command: Sequence[str]) -> str:
    """What a command line runs, behind `env` and its variables."""
    return next(word for word in command if word != "env" and "=" not in word)


def install(tool: Tool) -> None:
    """Install it once. Raises Skipped."""
    if tool.command.exists():
        return
    print(f"installing {', '.join(tool.packages)} into {tool.place}", flush=True)
    if tool.is_npm:
        line = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(tool.place)]
    else:
        venv.create(tool.place, with_pip=True)
        line = [str(tool.place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    try:
        done = subprocess.run([*line, *tool.packages], capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise Skipped(f"{tool.program} needs {missing.filename}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise Skipped(f"{tool.packages[0]} can't be had here: {said[-1]}")


def is_ready(tool: Tool) -> bool:
    """Whether it is installed here, after a try; why not is printed."""
    try:
        install(tool)
    except Skipped as skipped:
        print(f"skipped: {skipped}")
        return False
    return True


def board(base: Path, tool: Tool, server: Server) -> Scratch:
    """A board with one task for an agent that is this tool, as docs/agents.md sets it up.

    Three things are ours: the program's whole path, the server's address, and the variable that tells it.
    """
    made = Scratch(make_template(base), Clock())
    made.write("shop.txt", "closed\n")
    made.git("add", "shop.txt")
    made.git("commit", "-qm", "A shop")
    mounts = {"workspace": {"mounts": [str(tool.place)]}}
    made.write("board/config.yml", made.read("board/config.yml") + dump(mounts))
    template = templates()[tool.program]
    settings = template | {
        "capabilities": ["technical"],
        "network": [server.url.removeprefix("http://").removesuffix("/v1")],
        "env": [*template["env"], *filter(None, [tool.base])],
        "command": [str(tool.command) if word == tool.program else word for word in template["command"]],
    }

    def fill(draft: Any) -> None:
        tasks.add(draft, "Open the shop", body=ASKED, assignees=["technical"])
        draft.put(draft.board.agents["technical"].replace(model=tool.model, agentos=settings))

    made.act(fill)
    name, text = tool.home
    if name:
        file = made.store.local / "homes/technical" / name
        file.parent.mkdir(parents=True)
        file.write_text(text.format(url=server.url))
    return made


def tick(here: Scratch, tool: Tool, server: Server, key: str) -> str:
    """One tick; what came of the run, in a line."""
    base = server.url.removesuffix("/v1") if tool.base.startswith("ANTHROPIC") else server.url
    given = {name: value for name, value in ((tool.base, base), (tool.key, key)) if name and value}
    began = time.monotonic()
    options = ticking.Options(agent="technical", jobs=1, variables=given)
    (beat,) = ticking.tick(here.store, options).beats
    asked = len(server.requests)
    return f"{time.monotonic() - began:.1f} s, {asked} calls of the model, {beat.outcome}: {beat.text}"


def work(tool: Tool, server: Server) -> bool:
    """The task with a key: whether the right change, and nothing else, is in review with the right figures."""
    with tempfile.TemporaryDirectory() as folder:
        here = board(Path(folder), tool, server)
        server.answers(*tool.script)
        print(tick(here, tool, server, KEY))
        task = here.store.board().task("1")
        run = runs.of_task(here.store, task)[0]
        print(f"task {task.status}; " + here.git("log", "-1", f"--format={TRAILERS}", "main").strip())
        change = here.git("diff", "main...agentos/" + TASK, check=False)
        print(change)
        names = here.git("diff", "--name-only", "main...agentos/" + TASK, check=False).split()
        return (
            names == ["note.txt", "shop.txt"] and "+open" in change and "+so" in change
            and run.tokens == 110 * len(tool.script) and task.status == "review"
            and ASKED in json.dumps(server.requests[0]) and all(KEY in key for key in server.keys)
        )  # fmt: skip


def fail_for_a_key(tool: Tool, server: Server, key: str) -> bool:
    """The task with a key that is refused, or with none: whether the run says so, and hands nothing in."""
    with tempfile.TemporaryDirectory() as folder:
        here = board(Path(folder), tool, server)
        server.answers(*[fail(401, "who are you?")] * 99)
        print(f"{'a wrong' if key else 'no'} key: {tick(here, tool, server, key)}")
        run = runs.of_task(here.store, here.store.board().task("1"))[0]
        return run.failure == "key" and not run.commit


def main(wanted: Sequence[str]) -> int:
    """Run those that are wanted, or all; 0 where each did what was asked."""
    chosen = [tool for tool in TOOLS if not wanted or tool.program in wanted]
    if not chosen:
        print(f"there is no {' '.join(wanted)}; there are {', '.join(tool.program for tool in TOOLS)}")
        return 2
    why = bubblewrap.hindrance()
    if why:
        print(f"skipped: there is no sandbox: {why}")
        return 0
    ready = [
        tool for tool in chosen if is_ready(tool)
    ]  # before a board takes HOME, where registries are set up
    failed = []
    for tool in ready:
        print(f"== {tool.packages[0]}", flush=True)
        with serve() as server:
            seen = [work(tool, server), *(fail_for_a_key(tool, server, key) for key in (KEY, ""))]
        print("ok" if all(seen) else "not what was asked for", flush=True)
        failed += [] if all(seen) else [tool.program]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
