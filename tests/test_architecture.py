"""The floors of the building and the signals of its style: what fails the build."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from agentos.model.words import kind_of
from agentos.store import codec, frontmatter

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "agentos"

FLOORS: dict[str, int] = {
    "errors": 0, "model": 0,
    "store": 1,
    "actions": 2, "memory": 2, "knowledge": 2, "notify": 2, "metrics": 2,
    "runtime": 3,
    "orchestrator": 4, "web": 4,
    "cli": 5, "mcp": 5,
}  # fmt: skip
"""The floor of each room (DESIGN.md, section 9); a room imports from lower floors and from itself."""

NOT_EVEN_SO = {("web", "runtime")}
"""Arrows that go down and are forbidden all the same: web writes, the next tick answers."""

ALSO = {("model", "errors")}
"""Arrows on one floor that are allowed: everybody may raise the errors."""

KEEPERS: dict[str, tuple[str, ...]] = {
    "cronsim": ("model.times",),
    "filelock": ("store.lock",),
    "frontmatter": ("orchestrator.planning",),
    "git": ("store.clone",),
    "httpx": ("actions.forges.github",),
    "litellm": ("runtime.provider",),
    "markdown_it": ("model.markdown",),
    "pydantic": ("model.records", "store.codec", "runtime.outbox", "runtime.tools"),
    "pydantic_core": ("model.records", "store.codec"),
    "rich": ("cli",),
    "typer": ("cli",),
    "watchdog": ("orchestrator.watching",),
    "yaml": ("store.fields",),
}
"""Each foreign library and the modules, or the room, that may import it."""

DOORS = {"cli.main"}
"""Where an error of any kind may be caught: the command line's main, later the API's and the tools' door."""

SLOW = (
    "litellm", "fastapi", "dask", "git", "filelock", "httpx", "markdown_it", "frontmatter", "cronsim", "watchdog"
)  # fmt: skip


MODULE_LINES, FUNCTION_LINES = 400, 60


class Import(NamedTuple):
    """One import: in which module and line, of what, and whether it runs when the module is loaded."""

    module: str
    line: int
    target: str
    at_load: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@cache
def sources() -> dict[str, ast.Module]:
    """Each module of the package by its dotted name below `agentos`."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text())
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import, those inside functions and under TYPE_CHECKING included."""
    return tuple(each for module, tree in sources().items() for each in _imports(module, tree, True))


def _imports(module: str, node: ast.AST, at_load: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_for_types(child)
        if isinstance(child, ast.Import):
            yield from (Import(module, child.lineno, alias.name, at_load) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, f"{module}:{child.lineno} is a relative import"
            for alias in child.names:
                inner = f"{child.module}.{alias.name}"
                known = inner.removeprefix("agentos.") in sources()
                yield Import(module, child.lineno, inner if known else str(child.module), at_load)
        else:
            yield from _imports(module, child, at_load and not later)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def room(module: str) -> str:
    return module.partition(".")[0]


def inside() -> list[tuple[Import, str]]:
    """The imports of our own modules, with the name below `agentos`."""
    own = [each for each in imports() if each.target.split(".")[0] == "agentos"]
    return [(each, each.target.removeprefix("agentos").lstrip(".")) for each in own]


def test_every_room_has_a_floor() -> None:
    assert {room(module) for module in sources() if module} <= FLOORS.keys()


def test_imports_only_go_down_and_rooms_on_one_floor_are_strangers() -> None:
    wrong = []
    for each, target in inside():
        here, there = room(each.module), room(target)
        if not there or not here or here == there or (here, there) in ALSO:
            continue
        if FLOORS[here] <= FLOORS[there] or (here, there) in NOT_EVEN_SO:
            wrong.append(str(each))
    assert wrong == []


def test_no_module_imports_itself_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {module: set() for module in sources()}
    for each, target in inside():
        if each.at_load and target != each.module:
            arrows[each.module].add(target)
    done: set[str] = set()
    for start in arrows:
        assert (circle := _circle(arrows, start, [], done)) == [], " → ".join(circle)


def _circle(arrows: dict[str, set[str]], name: str, path: list[str], done: set[str]) -> list[str]:
    if name in path:
        return [*path[path.index(name) :], name]
    if name in done:
        return []
    for target in sorted(arrows.get(name, ())):
        circle = _circle(arrows, target, [*path, name], done)
        if circle:
            return circle
    done.add(name)
    return []


def test_each_foreign_library_is_imported_by_its_keeper_alone() -> None:
    wrong = []
    for each in imports():
        library = each.target.split(".")[0]
        if library == "agentos" or library in sys.stdlib_module_names:
            continue
        keepers = KEEPERS.get(library, ())
        if not any(each.module == keeper or each.module.startswith(f"{keeper}.") for keeper in keepers):
            wrong.append(str(each))
    assert wrong == []


def test_no_module_and_no_function_is_long() -> None:
    long = []
    for module, tree in sources().items():
        file = PACKAGE.joinpath(*module.split("."))
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        lines = len(file.read_text().splitlines())
        long += [f"{module} has {lines} lines"] if lines > MODULE_LINES else []
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                long += [f"{module}.{node.name} has {lines} lines"] if lines > FUNCTION_LINES else []
    assert long == []


def test_everything_is_caught_only_at_the_doors() -> None:
    wrong = []
    for module, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and module not in DOORS and _catches_all(node):
                wrong.append(f"{module}:{node.lineno}")
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                names = {ast.unparse(argument) for argument in node.args}
                wrong += [f"{module}:{node.lineno}"] if names & {"Exception", "BaseException"} else []
    assert wrong == []


def _catches_all(node: ast.ExceptHandler) -> bool:
    """Bare, `Exception`, or a `BaseException` that is not raised again."""
    if node.type is None:
        return True
    names = {part.strip(" ()") for part in ast.unparse(node.type).split(",")}
    is_raised_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
    return "Exception" in names or ("BaseException" in names and not is_raised_again)


SETS_ENVIRONMENT = {"runtime.provider"}
"""Where a variable is set, and none is read: litellm takes its settings from nowhere else as it is imported."""


@pytest.mark.parametrize("name", ["os.environ", "os.getenv", "datetime.now", "datetime.utcnow", "date.today"])
def test_environment_and_clock_are_read_at_the_door(name: str) -> None:
    """The environment is read in cli/ and web/ alone; the time is an argument everywhere below."""
    wrong = [
        f"{module}:{node.lineno}"
        for module, tree in sources().items()
        if room(module) not in ("cli", "web", "mcp")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(name)
        if not (module in SETS_ENVIRONMENT and name == "os.environ" and _is_update(tree, node))
    ]
    assert wrong == []


def _is_update(tree: ast.Module, node: ast.Attribute) -> bool:
    """Whether this `os.environ` is the one of an `os.environ.update(…)`."""
    calls = (each.func for each in ast.walk(tree) if isinstance(each, ast.Call))
    return any(isinstance(f, ast.Attribute) and f.value is node and f.attr == "update" for f in calls)


def test_the_model_is_pure() -> None:
    """No files, no processes, no clock and no chance on the ground floor."""
    forbidden = {
        "os",
        "pathlib.Path",
        "subprocess",
        "time",
        "random",
        "secrets",
        "socket",
        "shutil",
        "tempfile",
    }
    wrong = [str(each) for each in imports() if room(each.module) == "model" and each.target in forbidden]
    assert wrong == []


def test_nothing_runs_through_a_shell() -> None:
    wrong = []
    for module, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                wrong.append(f"{module}:{node.value.lineno}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.system", "os.popen"):
                wrong.append(f"{module}:{node.lineno}")
    assert wrong == []


def test_every_module_opens_with_a_sentence() -> None:
    bare = [module for module, tree in sources().items() if not (ast.get_docstring(tree) or "").strip()]
    assert bare == []


def records() -> list[Path]:
    """The record files of this repository's own board."""
    files = [file for folder in ("board", "agents", "docs") for file in (TOP / folder).rglob("*")]
    return sorted(file for file in files if file.is_file() and kind_of(file.relative_to(TOP).as_posix()))


def test_our_own_records_read_cleanly_and_come_back_byte_for_byte() -> None:
    for file in records():
        path, data = file.relative_to(TOP).as_posix(), file.read_bytes()
        row = codec.row(path, data)
        if row.kind is None:
            continue
        assert row.remarks == (), path
        assert frontmatter.split(path, data).data == data, path
        assert codec.edit(path, data, frontmatter.split(path, data).fields()) == data, path


def python(code: str, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *args],
        cwd=cwd, capture_output=True, text=True, check=False, env=env,
    )  # fmt: skip


def test_importing_does_nothing_that_shows(tmp_path: Path) -> None:
    names = [f"agentos.{module}".rstrip(".") for module in sources()]
    done = python(
        "import importlib, os, sys\n"
        "before = dict(os.environ), os.getcwd(), sys.path[:]\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "assert before == (dict(os.environ), os.getcwd(), sys.path[:])",
        *names,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def loaded(cwd: Path, *args: str) -> set[str]:
    """The modules that a command has loaded when it is over."""
    done = python(
        "import sys\n"
        "from agentos.cli import main\n"
        "try: main.run()\n"
        "except SystemExit as leaving: code = leaving.code\n"
        "print(code or 0, *sys.modules, file=sys.stderr)",
        *args,
        cwd=cwd,
    )
    code, *modules = done.stderr.split()
    assert code == "0"
    return set(modules)


def test_listing_tasks_loads_nothing_slow(template: Path) -> None:
    assert sorted(set(SLOW) & loaded(template, "task", "list")) == []


def test_an_idle_tick_loads_no_runner(template: Path) -> None:
    runtime = {name for name in loaded(template, "--quiet", "tick") if name.startswith("agentos.runtime.")}
    assert runtime == {"agentos.runtime.ledger", "agentos.runtime.nursery"}
